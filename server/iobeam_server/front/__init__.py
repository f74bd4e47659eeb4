"""The HTTP front: connections, requests and answers on one event loop; knows no resource.

It hands requests to the application, and imports what renders its errors, nothing else of it.
"""
