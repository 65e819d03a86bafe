// The recording behind the page: unpacks what payload.py packed, and answers "what was there at time t".

var JOINTS = 25;

function unpack(text, Type) {
  var raw = atob(text);
  var bytes = new Uint8Array(raw.length);
  for (var i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Type(bytes.buffer);
}

function seconds(milliseconds) {
  return Float64Array.from(milliseconds, function (value) {
    return value / 1000;
  });
}

// Index of the last of the ascending `times` that is not after t, or -1.
function lastAt(times, t) {
  var low = 0,
    high = times.length;
  while (low < high) {
    var middle = (low + high) >> 1;
    if (times[middle] <= t) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function decodeSource(raw, prompts) {
  var frames = raw.frames,
    counts = unpack(frames.bodies, Uint16Array);
  var first = new Uint32Array(counts.length + 1);
  for (var i = 0; i < counts.length; i++) first[i + 1] = first[i] + counts[i];
  var source = {
    name: raw.name,
    flat: raw.flat,
    duration: raw.duration,
    people: raw.people,
    tracks: raw.tracks,
    events: raw.events,
    eventsTotal: raw.events_total,
    frames: frames,
    scores: raw.scores,
    times: seconds(unpack(frames.times, Uint32Array)),
    first: first,
    track: unpack(frames.tracks, Uint32Array),
    joints: unpack(frames.joints, Int16Array),
    confidence: unpack(frames.confidence, Uint8Array),
    unit: frames.unit,
    lines: decodeLines(raw.scores, prompts)
  };
  // A pose outlives its frame by this much: sensors pause, and a person who left should not freeze in the air.
  source.hold = Math.max(0.4, 3 * frames.interval);
  source.presence = presence(source);
  return source;
}

// Scores by track: track -> {times, column(k) -> value at a row, NaN where there is none}.
function decodeLines(raw, prompts) {
  var tracks = unpack(raw.tracks, Uint32Array),
    times = seconds(unpack(raw.times, Uint32Array));
  var values = unpack(raw.values, Uint16Array),
    lines = new Map();
  for (var row = 0; row < raw.count;) {
    var end = row;
    while (end < raw.count && tracks[end] === tracks[row]) end++;
    lines.set(tracks[row], scoreLine(times.subarray(row, end), values, row, prompts + 1));
    row = end;
  }
  return lines;
}

function scoreLine(times, values, offset, columns) {
  return {
    times: times,
    value: function (row, column) {
      var step = values[(offset + row) * columns + column];
      return step === 65535 ? NaN : step / 65534;
    }
  };
}

// Row of a line's scores that holds at time t, or -1: scores come every few frames and stand until the next.
function rowAt(line, t, hold) {
  var row = lastAt(line.times, t);
  return row >= 0 && t - line.times[row] <= hold ? row : -1;
}

// Spans in which each track was seen: [{track, start, end}], by track and time.
function presence(source) {
  var open = new Map(),
    spans = [];
  for (var f = 0; f < source.times.length; f++) {
    for (var b = source.first[f]; b < source.first[f + 1]; b++) {
      var span = open.get(source.track[b]);
      if (!span || source.times[f] - span.end > Math.max(1, source.hold)) {
        span = { track: source.track[b], start: source.times[f], end: source.times[f] };
        open.set(span.track, span);
        spans.push(span);
      }
      span.end = source.times[f];
    }
  }
  return spans;
}

// The n-th body of a track in a frame: sensors that do not tell people apart give several bodies one id.
function findBody(source, frame, track, nth) {
  for (var b = source.first[frame]; b < source.first[frame + 1]; b++) {
    if (source.track[b] === track && nth-- === 0) return b;
  }
  return -1;
}

// Bodies at time t, between frames interpolated: [{track, points: (25 * 3), confidence: (25)}].
function posesAt(source, t) {
  var frame = lastAt(source.times, t),
    poses = [];
  if (frame < 0 || t - source.times[frame] > source.hold) return poses;
  var next = frame + 1 < source.times.length ? frame + 1 : frame;
  var gap = source.times[next] - source.times[frame];
  var share = gap > 0 && gap <= source.hold ? (t - source.times[frame]) / gap : 0;
  var seen = new Map();
  for (var b = source.first[frame]; b < source.first[frame + 1]; b++) {
    var track = source.track[b],
      nth = seen.get(track) || 0;
    seen.set(track, nth + 1);
    poses.push(blend(source, track, b, share > 0 ? findBody(source, next, track, nth) : -1, share));
  }
  return poses;
}

function blend(source, track, from, to, share) {
  var points = new Float32Array(JOINTS * 3),
    confidence = new Float32Array(JOINTS);
  for (var v = 0; v < JOINTS; v++) {
    var here = source.confidence[from * JOINTS + v],
      there = to < 0 ? 0 : source.confidence[to * JOINTS + v];
    var weight = here && there ? share : there && !here && share > 0.5 ? 1 : 0;
    confidence[v] = (here && there ? Math.min(here, there) : weight ? there : here) / 255;
    for (var c = 0; c < 3; c++) {
      var a = source.joints[(from * JOINTS + v) * 3 + c];
      points[v * 3 + c] = source.unit * (weight ? a + weight * (source.joints[(to * JOINTS + v) * 3 + c] - a) : a);
    }
  }
  return { track: track, points: points, confidence: confidence };
}

// Events that are open at time t.
function eventsAt(source, t) {
  return source.events.filter(function (event) {
    return event.start <= t && t <= (event.end === null ? source.duration : Math.max(event.end, event.start + 0.1));
  });
}

function clock(t, digits) {
  var scale = Math.pow(10, digits),
    ticks = Math.round(Math.max(t, 0) * scale);
  var whole = Math.floor(ticks / scale),
    minutes = Math.floor(whole / 60),
    hours = Math.floor(minutes / 60);
  var rest = String(whole % 60).padStart(2, "0") + (digits ? "." + String(ticks % scale).padStart(digits, "0") : "");
  return hours ? hours + ":" + String(minutes % 60).padStart(2, "0") + ":" + rest : minutes + ":" + rest;
}
