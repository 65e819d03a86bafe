// Small pieces of text, the facts on top and the notes below.
// Text from the recording is only ever appended as text nodes.

// Background texts named in the notes; of more, their number.
var SHOWN_TEXTS = 12;

function element(tag, className) {
  var node = document.createElement(tag);
  if (className) node.className = className;
  node.append.apply(node, Array.prototype.slice.call(arguments, 2));
  return node;
}

function percent(value) {
  return value === null || isNaN(value) ? "\u2013" : (value * 100).toFixed(0) + " %";
}

function plural(count, one, many) {
  return count.toLocaleString("en") + " " + (count === 1 ? one : many || one + "s");
}

// A prompt's short name as words: "wave_hand" is for topics.
function words(name) {
  return name.replace(/_/g, " ");
}

function isAlarm(event) {
  return event.severity !== "info";
}

function gravest(events) {
  var grades = Object.keys(GLYPHS);
  return (
    events.slice().sort(function (a, b) {
      return grades.indexOf(b.severity) - grades.indexOf(a.severity);
    })[0] || null
  );
}

function span(t) {
  return t < 60 ? t.toFixed(1) + " s" : clock(t, 0) + " min";
}

function mostAtOnce(most, source) {
  for (var f = 0; f < source.times.length; f++) most = Math.max(most, source.first[f + 1] - source.first[f]);
  return most;
}

function showFacts(root, sources, report) {
  var sum = function (value) {
    return sources.reduce(function (total, source) {
      return total + value(source);
    }, 0);
  };
  var events = sum(function (source) {
    return source.eventsTotal;
  });
  var alarms = sum(function (source) {
    return source.events.filter(isAlarm).length;
  });
  var most = sources.reduce(mostAtOnce, 0);
  var fact = function (name, value, detail) {
    root.append(
      element(
        "div",
        "fact",
        element("dt", "", name),
        element("dd", "", value, detail ? element("small", "", detail) : "")
      )
    );
  };
  fact(
    sources.length === 1 ? "Source" : "Sources",
    sources.length === 1 ? sources[0].name : String(sources.length),
    sources.length === 1 ? (sources[0].flat ? "2-D, image coordinates" : "3-D, metres") : "choose one below"
  );
  fact(
    "Duration",
    span(
      sum(function (source) {
        return source.duration;
      })
    ),
    plural(
      sum(function (source) {
        return source.frames.seen;
      }),
      "frame"
    )
  );
  fact(
    "People",
    sum(function (source) {
      return source.people;
    }).toLocaleString("en"),
    most ? "at most " + most + " at once" : "nobody was seen"
  );
  fact("Events", events.toLocaleString("en"), alarms ? plural(alarms, "alarm") : "no alarms");
  fact("Model", report.model, plural(report.prompts.length, "prompt"));
  fact("Thresholds", report.enter.toFixed(2) + " / " + report.exit.toFixed(2), "enter / exit");
}

// What the prompts compete with beside each other.
function rivals(report) {
  var texts = report.background.slice(0, SHOWN_TEXTS).map(function (text) {
    return "\u201c" + text + "\u201d";
  });
  var more = report.background.length - texts.length;
  if (more > 0) texts.push(more + " more");
  return (
    (texts.length ? ", with the background (" + texts.join(", ") + ")" : "") +
    (report.bank ? " and with " + plural(report.bank, "further action") + " that the model knows" : "")
  );
}

function showNotes(root, source, report) {
  var notes = [],
    frames = source.frames,
    interval = function (value) {
      return value < 1 ? value.toFixed(2) : value.toFixed(0);
    };
  notes.push(
    "Skeletons only: 25 joints a person. This page holds no images and no sound, and loads nothing from the network."
  );
  if (frames.thinned) {
    notes.push(
      "Thinned for size: the animation keeps " +
        frames.count.toLocaleString("en") +
        " of " +
        plural(frames.seen, "frame") +
        ", at most one every " +
        interval(frames.interval) +
        " s."
    );
  } else {
    notes.push(
      "The animation keeps at most 25 frames a second (" +
        frames.count.toLocaleString("en") +
        " of " +
        plural(frames.seen, "frame") +
        ") and moves evenly between them."
    );
  }
  if (source.scores.pooled) {
    notes.push(
      "Thinned for size: each point of the probability lines is the highest within " +
        interval(source.scores.interval) +
        " s."
    );
  }
  if (source.eventsTotal > source.events.length) {
    notes.push(
      "Of " +
        plural(source.eventsTotal, "event") +
        " the gravest " +
        source.events.length.toLocaleString("en") +
        " are listed."
    );
  }
  notes.push(
    "A probability compares a prompt with the other prompts" +
      rivals(report) +
      "; it is not a probability that the action took place. \u201cNone of these\u201d is the share of all that is no prompt."
  );
  var strange = report.prompts.filter(function (prompt) {
    return prompt.unfamiliar;
  });
  if (strange.length) {
    notes.push(
      "The model was not trained on " +
        strange
          .map(function (prompt) {
            return words(prompt.name);
          })
          .join(", ") +
        ": it knows these from their descriptions only, so expect more mistakes."
    );
  }
  if (report.terms) notes.push("Model: " + report.terms);
  root.replaceChildren.apply(
    root,
    notes.map(function (text) {
      return element("li", "", text);
    })
  );
}
