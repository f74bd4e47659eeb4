"""One module per REST resource: build the request, judge the answer."""
