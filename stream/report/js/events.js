// The table of events.

var SHOWN_EVENTS = 100;
var REASONS = {
  below_exit: "score fell below exit",
  track_lost: "person left",
  gap: "source was silent",
  source_end: "recording ended",
  shutdown: "stopped",
  crash: "process died"
};

// The events of some sources: of one, or of all with a column that says whose each is.
function showEvents(root, shown, app) {
  var rows = [],
    whose = shown.length > 1,
    events = [];
  shown.forEach(function (source) {
    source.events.forEach(function (event) {
      events.push({ event: event, source: source });
    });
  });
  if (!events.length) {
    root.replaceChildren(element("p", "empty", whose ? "No events in any recording." : noEvents(shown[0], app)));
    return function () {};
  }
  var heads = [
    ["start", "Start"],
    ["end", "End"],
    ["duration", "Duration"],
    ["person", "Person"],
    ["action", "Action"],
    ["severity", "Severity"],
    ["peak", "Peak"],
    ["reason", "Ended because"]
  ];
  if (whose) heads.unshift(["source", "Recording"]);
  var head = element("tr");
  heads.forEach(function (pair) {
    var cell = element("th", "", pair[1]);
    cell.scope = "col";
    head.append(cell);
  });
  var body = element("tbody");
  function addRow(entry) {
    var event = entry.event;
    var jump = element("button", "link", clock(event.start, 2));
    jump.type = "button";
    jump.setAttribute("aria-label", "Jump to " + clock(event.start, 2) + ", " + words(event.name));
    var dot = element("span", "dot");
    dot.style.setProperty("--bar", app.colour(event.track).css);
    var cells = [
      jump,
      event.end === null ? "\u2013" : clock(event.end, 2),
      event.end === null ? "\u2013" : (event.end - event.start).toFixed(2) + " s",
      element("span", "who", dot, app.person(event.track, entry.source)),
      element(
        "span",
        "",
        element("b", "", words(event.name)),
        event.prompt && event.prompt !== event.name ? element("small", "", event.prompt) : ""
      ),
      element("span", "badge " + event.severity, GLYPHS[event.severity] + " " + event.severity),
      percent(event.peak),
      event.reason === null ? "still open" : REASONS[event.reason] || event.reason
    ];
    if (whose) cells.unshift(element("b", "", entry.source.name));
    var row = element("tr");
    cells.forEach(function (content, i) {
      var cell = element("td", "c-" + heads[i][0], content);
      cell.dataset.label = heads[i][1];
      row.append(cell);
    });
    row.title = "event " + event.id + ", t_start " + event.t_start + " ns";
    row.addEventListener("click", function () {
      app.open(entry.source, event);
    });
    rows.push({ event: event, node: row });
    body.append(row);
  }
  events.slice(0, SHOWN_EVENTS).forEach(addRow);
  root.replaceChildren(element("table", "", element("thead", "", head), body));
  if (events.length > SHOWN_EVENTS) {
    var more = element("button", "button", "Show all " + plural(events.length, "event"));
    more.type = "button";
    more.addEventListener("click", function () {
      events.slice(SHOWN_EVENTS).forEach(addRow);
      more.remove();
    });
    root.append(more);
  }
  return function (open) {
    rows.forEach(function (row) {
      var now = open.indexOf(row.event) >= 0;
      if (now !== row.now) row.node.classList.toggle("now", (row.now = now));
    });
  };
}

function noEvents(source, app) {
  var best = app.timeline.rows
    .filter(function (row) {
      return !row.extra;
    })
    .reduce(function (a, b) {
      return !a || b.peak > a.peak ? b : a;
    }, null);
  if (!source.people) return "No events: nobody was seen in this recording.";
  if (!best || !source.lines.size) return "No events: nobody was in view for long enough to be scored.";
  return (
    "No events. The highest probability of any prompt was " +
    percent(best.peak) +
    " (" +
    words(best.name) +
    "); an event begins when one stays at or above " +
    percent(app.report.enter) +
    " and above the background."
  );
}

// Which recording a page opens: the first with an alarm, else the first with an event, else the first.
function mostTelling(sources) {
  var alarmed = sources.findIndex(function (source) {
    return source.events.some(isAlarm);
  });
  var eventful = sources.findIndex(function (source) {
    return source.events.length > 0;
  });
  return alarmed >= 0 ? alarmed : Math.max(eventful, 0);
}
