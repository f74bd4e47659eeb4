"""Send through questdb over HTTP: a sender written in Rust."""
import random

import measure
import questdb.ingress


class QuestdbWorker(measure.Worker):

    def __init__(self, url, folder=None):
        # auto_flush off: add() first, then send(), as everybody here
        self._sender = questdb.ingress.Sender.from_conf(
            "http::addr={};protocol_version=1;auto_flush=off;".format(
                url.split("/")[2]))
        self._sender.establish()

    def fill(self, times, rows):
        add, micros = self._sender.row, questdb.ingress.TimestampMicros
        symbols = {"device": measure.DEVICE_ID}
        for time, row in zip(times, rows):
            add("conditions", symbols=symbols, columns=row,
                at=micros(time * 1000))

    def send(self):
        self._sender.flush()

    def sendDataFrame(self, count):
        import pandas

        frame = pandas.DataFrame([
            dict((name, random.gauss(20, 5)) for name in measure.COLUMNS[:3])
            for _ in range(count)])
        frame["device"] = pandas.Series(
            [measure.DEVICE_ID] * count, dtype="category")
        frame["time"] = pandas.to_datetime(
            measure.times(count), unit="ms", utc=True)

        def send(frame):
            self._sender.dataframe(frame, table_name="conditions", at="time")
            self.send()

        send(frame[:10])
        return measure.took(lambda: send(frame), count)

    def memory(self, count):
        """Its buffer is not Python's: the text in it is all there is."""
        self.fill(measure.times(count),
                  (measure.reading(number) for number in range(count)))
        return {"bytes": len(self._sender) / count}


if __name__ == "__main__":
    measure.main(QuestdbWorker)
