// A view as something to type elsewhere: the command's line, and a few of Python.

/**
 * Return `{line, program}` for one series of a device and a range `{kind, from, to}` (ms).
 */
export function asCommand(deviceId, name, { kind, from, to }) {
  const words = ["iobeam query", option("device", deviceId), option("series", name)];
  const query = [`query = iobeam.QueryReq(client.projectId, deviceId=${text(deviceId)},`, `                        seriesName=${text(name)})`];
  if (kind === "custom") {
    words.push(option("from", iso(from)), ...(to === null ? [] : [option("to", iso(to))]));
    query.push(`query.fromTime(${from})`, ...(to === null ? [] : [`query.toTime(${to})`]));
  } else if (kind !== "all") {
    words.push(option("since", span(Number(kind))));
    query.push(`query.fromTime(int(time.time() * 1000) - ${Number(kind) * 1_000})`);
  }
  const program = [
    ...(kind === "custom" || kind === "all" ? [] : ["import time", ""]),
    "from iobeam import iobeam",
    "",
    "client = iobeam.ClientBuilder.fromEnvironment().build()",
    ...query,
    'print(client.makeQuery(query)["result"])',
  ];
  return { line: words.join(" "), program: program.join("\n") };
}

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "m"], [1, "s"]];

function span(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds % size === 0);
  return `${seconds / size}${unit}`;
}

const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");

/** Quoted for a POSIX shell where it has to be. */
function option(name, value) {
  const quoted = /^[\w.:@%+,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
  return `--${name}=${quoted}`;
}

/** A literal of Python, 2 as well. */
function text(value) {
  const literal = JSON.stringify(value);
  return /^[\x20-\x7e]*$/.test(literal) && !literal.includes("\\u") ? literal : `u${literal}`;
}
