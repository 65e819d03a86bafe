// Rows that share one axis of time and one playhead: who was there, and each prompt's events and probability.

var LANE = 20,
  CHART = 34;

// Rows of a source's timeline: the prompts, then whatever else raised an event (anomalies, faults).
function rowsOf(source, report) {
  var rows = report.prompts.map(function (prompt, column) {
    return {
      name: prompt.name,
      text: prompt.text,
      severity: prompt.severity,
      unfamiliar: prompt.unfamiliar,
      column: column,
      marks: report,
      spans: [],
      peak: 0
    };
  });
  var byName = new Map(
    rows.map(function (row) {
      return [row.name, row];
    })
  );
  var highest = -1;
  source.lines.forEach(function (line) {
    for (var row = 0; row < line.times.length; row++) {
      for (var column = 0; column <= rows.length; column++) {
        var value = line.value(row, column);
        if (column < report.prompts.length) rows[column].peak = Math.max(rows[column].peak, value || 0);
        else if (!isNaN(value)) highest = Math.max(highest, value);
      }
    }
  });
  var extra = function (name, text, severity, column) {
    var row = { name: name, text: text, severity: severity, column: column, spans: [], peak: 0, extra: true };
    byName.set(name, row);
    rows.push(row);
    return row;
  };
  var known = report.anomaly,
    anomaly =
      highest >= 0 &&
      extra("anomaly", known ? known.text : "how much of an anomaly it is", "alert", report.prompts.length);
  if (anomaly) {
    anomaly.peak = highest;
    anomaly.marks = known;
  }
  source.events.forEach(function (event) {
    var row =
      (event.kind === "anomaly" && anomaly) ||
      byName.get(event.name) ||
      extra(event.name, event.kind === "fault" ? "a fault of the source" : event.prompt, event.severity, -1);
    row.spans.push({ event: event, start: event.start, end: event.end === null ? source.duration : event.end });
  });
  return rows;
}

function makeTimeline(root, source, app) {
  var rows = rowsOf(source, app.report),
    busy = rows.filter(isBusy);
  function isBusy(row) {
    return row.spans.length > 0 || (row.marks && row.peak >= row.marks.exit);
  }
  var timeline = {
    view: { from: 0, to: Math.max(source.duration, 0.001) },
    rows: rows,
    all: rows.length <= 12 || !busy.length
  };
  var body = element("div", "tl-body"),
    playhead = element("div", "playhead");
  var overlay = element("div", "tl-overlay", playhead),
    charts = [],
    bars = [];
  var axis = element("div", "plot axis");

  function plotRow(label, plot) {
    body.append(element("div", "tl-row", label, plot));
  }

  function addBar(plot, span, node, glyph, track) {
    node.style.top = 4 + span.lane * LANE + "px";
    node.append(element("span"));
    plot.append(node);
    bars.push({ span: span, node: node, text: glyph + app.person(track), short: glyph.trim() + app.number(track) });
  }

  function addPeople() {
    var plot = element("div", "plot"),
      lanes = packLanes(source.presence, 0.2);
    plot.style.minHeight = lanes * LANE + 8 + "px";
    source.presence.forEach(function (span) {
      var node = element("div", "bar presence");
      node.style.setProperty("--bar", app.colour(span.track).css);
      node.title = app.person(span.track) + ": " + clock(span.start, 1) + " to " + clock(span.end, 1);
      addBar(plot, span, node, "", span.track);
    });
    if (!source.presence.length) plot.append(element("div", "plot-empty", "nobody was seen"));
    plotRow(element("div", "tl-label", element("b", "", "People")), plot);
  }

  function addRow(row) {
    var plot = element("div", "plot"),
      charted = row.column >= 0 && source.lines.size > 0;
    var lanes = row.spans.length ? packLanes(row.spans, 0) : 0;
    row.spans.forEach(function (span) {
      var event = span.event,
        node = element("button", "bar event " + event.severity);
      node.type = "button";
      node.style.setProperty("--person", app.colour(event.track).css);
      node.title =
        words(event.name) +
        ", " +
        app.person(event.track) +
        ", " +
        event.severity +
        ": " +
        clock(span.start, 2) +
        " to " +
        (event.end === null ? "the end of the recording" : clock(span.end, 2)) +
        ", peak " +
        percent(event.peak);
      node.setAttribute("aria-label", node.title + ". Jump there.");
      node.addEventListener("click", function () {
        app.jump(event);
      });
      addBar(plot, span, node, isAlarm(event) ? GLYPHS[event.severity] + " " : "", event.track);
    });
    if (charted) {
      var canvas = element("canvas", "chart");
      canvas.style.top = lanes * LANE + 6 + "px";
      canvas.style.height = CHART + "px";
      canvas.setAttribute("role", "img");
      canvas.setAttribute(
        "aria-label",
        "Probability of " + words(row.name) + " over time, highest " + percent(row.peak)
      );
      plot.append(canvas);
      charts.push({ canvas: canvas, row: row });
    }
    plot.style.minHeight = lanes * LANE + (charted ? CHART + 12 : 8) + "px";
    var title = element("b", "", words(row.name));
    if (row.severity !== "info") title.prepend(element("span", "glyph " + row.severity, GLYPHS[row.severity] + " "));
    var label = element("div", "tl-label", title);
    if (row.unfamiliar) label.append(element("span", "untrained", "not trained on"));
    label.append(element("small", "", row.text));
    plotRow(label, plot);
  }

  function draw() {
    var view = timeline.view,
      span = view.to - view.from,
      width = overlay.clientWidth;
    axis.replaceChildren();
    var step = tickStep((span * 78) / Math.max(width, 1));
    for (var t = Math.ceil(view.from / step) * step; t <= view.to + 1e-9; t += step) {
      var end = ((view.to - t) / span) * width < 40;
      var tick = element("span", "tick", end ? "" : clock(t, step < 1 ? 1 : 0));
      tick.style.left = ((t - view.from) / span) * 100 + "%";
      axis.append(tick);
    }
    bars.forEach(function (bar) {
      var left = (bar.span.start - view.from) / span,
        right = (bar.span.end - view.from) / span;
      bar.node.hidden = right < 0 || left > 1;
      bar.node.style.left = Math.max(left, 0) * 100 + "%";
      var share = Math.max(Math.min(right, 1) - Math.max(left, 0), 0);
      bar.node.style.width = share * 100 + "%";
      bar.node.classList.toggle("narrow", share * width < 12);
      bar.node.firstChild.textContent = share * width > 88 ? bar.text : share * width > 16 ? bar.short : "";
    });
    charts.forEach(function (chart) {
      var lines = [];
      source.lines.forEach(function (line, track) {
        if (app.hidden.has(track)) return;
        lines.push({
          line: line,
          column: chart.row.column,
          colour: app.colour(track).value,
          name: app.number(track),
          hold: app.scoreHold(source)
        });
      });
      var known = chart.row.marks;
      var marks = known
        ? [
            { value: known.enter, dash: [5, 3] },
            { value: known.exit, dash: [1, 3] }
          ]
        : [];
      drawChart(chart.canvas, CHART, lines, view, marks, app.theme);
    });
    timeline.place(app.time);
  }

  timeline.place = function (t) {
    var view = timeline.view,
      span = view.to - view.from;
    if (app.playing && span < source.duration && (t > view.to || t < view.from))
      return timeline.zoomTo(span, t + span * 0.4);
    var share = (t - view.from) / span;
    playhead.hidden = share < 0 || share > 1;
    playhead.style.left = share * 100 + "%";
    return undefined;
  };

  timeline.zoomTo = function (span, middle) {
    span = Math.min(Math.max(span, 2), Math.max(source.duration, 0.001));
    var from = Math.min(Math.max(middle - span / 2, 0), Math.max(source.duration, 0.001) - span);
    timeline.view = { from: from, to: from + span };
    draw();
  };

  timeline.zoom = function (factor) {
    timeline.zoomTo((timeline.view.to - timeline.view.from) * factor, app.time);
  };

  timeline.build = function () {
    body.replaceChildren(element("div", "tl-row", element("div", "tl-label"), axis), overlay);
    charts = [];
    bars = [];
    addPeople();
    // Where nobody was scored there is nothing to show of prompts without events.
    (timeline.all ? rows : busy)
      .filter(function (row) {
        return source.lines.size || row.spans.length;
      })
      .forEach(addRow);
    draw();
  };

  function seek(event) {
    var box = overlay.getBoundingClientRect(),
      view = timeline.view;
    var share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    app.seek(view.from + share * (view.to - view.from));
  }
  body.addEventListener("pointerdown", function (event) {
    if (event.button || !event.target.closest(".plot") || event.target.closest("button")) return;
    body.setPointerCapture(event.pointerId);
    app.pause();
    seek(event);
  });
  body.addEventListener("pointermove", function (event) {
    if (body.hasPointerCapture(event.pointerId)) seek(event);
  });

  timeline.draw = draw;
  timeline.busy = busy.length;
  root.replaceChildren(body);
  timeline.build();
  return timeline;
}
