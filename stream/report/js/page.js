// The page: reads the data, keeps the time, and joins stage, timeline, readout and table.

function byId(id) {
  return document.getElementById(id);
}

function start(report) {
  var sources = report.sources.map(function (raw) {
    return decodeSource(raw, report.prompts.length);
  });
  var stage = byId("stage"),
    context = stage.getContext("2d"),
    scrub = byId("scrub");
  var app = { report: report, time: 0, playing: false, speed: 1, theme: readTheme(), hidden: new Set() };
  var source,
    readout,
    markEvents,
    listsAll = false,
    stamp = 0,
    drawn = false;

  app.colour = function (track) {
    var i = track % TRACK_COLOURS,
      value = app.theme.tracks[i];
    return { css: "var(--track-" + i + ")", value: value, pale: mix(value, app.theme.surface, 0.42) };
  };
  app.number = function (track, of) {
    var id = (of || source).tracks[track];
    return id === "-1" ? "" : id.length > 6 ? "\u2026" + id.slice(-4) : id;
  };
  app.person = function (track, of) {
    of = of || source;
    // -1 is a body of a sensor that does not tell people apart, or what concerns the whole source.
    return of.tracks[track] !== "-1" ? "Person " + app.number(track, of) : track < of.people ? "Person" : "Source";
  };
  // How long a score stands: scores come a few times a second, or as far apart as thinning put them.
  app.scoreHold = function (of) {
    return Math.max(1, 3 * of.scores.interval);
  };
  app.seek = function (t) {
    app.time = Math.min(Math.max(t, 0), source.duration);
    app.timeline.place(app.time);
    app.request();
  };
  app.pause = function () {
    app.play(false);
  };
  app.jump = function (event) {
    app.seek(event.start);
    var view = app.timeline.view;
    if (event.start < view.from || event.start > view.to) app.timeline.zoomTo(view.to - view.from, event.start);
    byId("viewer").scrollIntoView({ block: "nearest", behavior: app.theme.still ? "auto" : "smooth" });
  };

  // An event of any recording.
  app.open = function (of, event) {
    if (of !== source) choose(sources.indexOf(of), event.start);
    app.jump(event);
  };

  function describe(open) {
    return function (track) {
      var event = gravest(
        open.filter(function (one) {
          return one.track === track;
        })
      );
      var colour = app.colour(track);
      return {
        label: app.person(track),
        colour: colour.value,
        pale: colour.pale,
        event: event && { severity: event.severity, label: words(event.name) }
      };
    };
  }

  app.request = function () {
    if (!drawn) requestAnimationFrame(frame);
    drawn = true;
  };

  function frame(now) {
    drawn = false;
    if (app.playing) {
      app.time += Math.min((now - stamp) / 1000, 0.25) * app.speed;
      stamp = now;
      if (app.time >= source.duration) {
        app.time = byId("loop").checked ? 0 : source.duration;
        if (!byId("loop").checked) app.play(false);
      }
      app.timeline.place(app.time);
    }
    render();
    if (app.playing) app.request();
  }

  function render() {
    var ratio = Math.min(window.devicePixelRatio || 1, 2),
      open = eventsAt(source, app.time);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    var step = drawScene(context, source, app.camera, app.time, app.theme, describe(open));
    byId("scale").textContent = step ? "grid " + step + " m" : "image coordinates";
    var present = [];
    posesAt(source, app.time).forEach(function (pose) {
      if (present.indexOf(pose.track) < 0) present.push(pose.track);
    });
    present.sort(function (a, b) {
      return a - b;
    });
    readout(app.time, present, open);
    markEvents(open);
    var faults = open.filter(function (event) {
      return event.kind === "fault";
    });
    byId("fault").hidden = !faults.length;
    byId("fault").className = "badge " + (faults.length ? gravest(faults).severity : "");
    byId("fault").textContent = faults
      .map(function (event) {
        return GLYPHS[event.severity] + " " + words(event.name);
      })
      .join(", ");
    scrub.value = app.time;
    scrub.setAttribute("aria-valuetext", clock(app.time, 1) + " of " + clock(source.duration, 1));
    byId("now").textContent = clock(app.time, 2);
    byId("state").textContent = plural(present.length, "person", "people") + " in view";
  }

  app.play = function (playing) {
    if (playing && app.time >= source.duration) app.time = 0;
    app.playing = playing && source.duration > 0;
    document.documentElement.classList.toggle("playing", app.playing);
    byId("play").setAttribute("aria-label", app.playing ? "Pause" : "Play");
    stamp = performance.now();
    app.request();
  };

  app.step = function (frames) {
    app.pause();
    var at = lastAt(source.times, app.time + 1e-6) + frames;
    app.seek(source.times.length ? source.times[Math.min(Math.max(at, 0), source.times.length - 1)] : 0);
  };

  app.toEvent = function (direction) {
    var starts = source.events.filter(function (event) {
      return direction > 0 ? event.start > app.time + 0.01 : event.start < app.time - 0.5;
    });
    if (starts.length) app.jump(direction > 0 ? starts[0] : starts[starts.length - 1]);
  };

  app.resize = function () {
    var ratio = Math.min(window.devicePixelRatio || 1, 2),
      box = stage.getBoundingClientRect();
    stage.width = Math.round(box.width * ratio);
    stage.height = Math.round(box.height * ratio);
    app.camera.resize(box.width, box.height);
    app.timeline.draw();
    app.request();
  };

  app.showLegend = function () {
    var legend = byId("legend");
    legend.replaceChildren();
    var tracks = Array.from(source.lines.keys());
    tracks.slice(0, 12).forEach(function (track) {
      var chip = element("button", "chip", element("span", "dot"), app.person(track));
      chip.type = "button";
      chip.title = "Show or hide this person's lines";
      chip.firstChild.style.setProperty("--bar", app.colour(track).css);
      chip.setAttribute("aria-pressed", "true");
      chip.addEventListener("click", function () {
        if (!app.hidden.delete(track)) app.hidden.add(track);
        chip.setAttribute("aria-pressed", String(!app.hidden.has(track)));
        app.timeline.draw();
      });
      legend.append(chip);
    });
    var rows = byId("rows");
    rows.hidden = !app.timeline.busy || app.timeline.busy === app.timeline.rows.length;
    rows.textContent = app.timeline.all ? "Hide quiet prompts" : "Show all " + app.timeline.rows.length + " prompts";
  };

  // The list of all recordings stays as it is while the reader goes from one to the next.
  function listEvents() {
    var shown = listsAll ? sources : [source];
    var total = shown.reduce(function (sum, one) {
      return sum + one.eventsTotal;
    }, 0);
    markEvents = showEvents(byId("events"), shown, app);
    byId("count").textContent = total ? total.toLocaleString("en") : "";
    byId("whose")
      .querySelectorAll("button")
      .forEach(function (button) {
        button.setAttribute("aria-pressed", String((button.dataset.whose === "all") === listsAll));
      });
  }

  function choose(number, time) {
    source = sources[number];
    app.hidden.clear();
    app.camera = makeCamera(source);
    byId("marks").hidden = !source.lines.size;
    app.timeline = makeTimeline(byId("timeline"), source, app);
    byId("cards").replaceChildren();
    readout = makeReadout(byId("cards"), source, app);
    if (!listsAll || !markEvents) listEvents();
    showNotes(byId("notes"), source, report);
    app.showLegend();
    app.duration = source.duration;
    scrub.max = Math.max(source.duration, 0.001);
    byId("total").textContent = clock(source.duration, 2);
    byId("nobody").hidden = source.times.length > 0 && source.track.length > 0;
    byId("views").hidden = source.flat;
    stage.setAttribute("aria-label", "Animated skeletons of " + source.name);
    document.querySelectorAll("#sources button").forEach(function (tab, i) {
      tab.setAttribute("aria-pressed", String(i === number));
      if (i === number) tab.parentNode.scrollLeft = tab.offsetLeft - tab.parentNode.offsetLeft - 40;
    });
    var seen = source.presence.length ? source.presence[0].start : 0;
    app.time = Math.min(time === undefined ? seen : time, source.duration);
    app.resize();
    app.play(time === undefined && !app.theme.still);
  }

  function showSources() {
    var root = byId("sources");
    root.hidden = sources.length < 2;
    sources.forEach(function (one, i) {
      var alarms = one.events.filter(isAlarm).length;
      var tab = element(
        "button",
        "source",
        element("b", "", one.name),
        element(
          "small",
          "",
          span(one.duration) +
            " \u00b7 " +
            plural(one.people, "person", "people") +
            " \u00b7 " +
            plural(one.eventsTotal, "event") +
            (alarms ? " \u00b7 " + GLYPHS.critical + " " + plural(alarms, "alarm") : "")
        )
      );
      tab.type = "button";
      tab.addEventListener("click", function () {
        choose(i);
      });
      root.append(tab);
    });
  }

  showFacts(byId("facts"), sources, report);
  byId("enter").textContent = "enter " + report.enter.toFixed(2);
  byId("exit").textContent = "exit " + report.exit.toFixed(2);
  if (!sources.length) {
    byId("viewer").replaceChildren(element("p", "empty", "Nothing was replayed, so there is nothing to show."));
    byId("details").remove();
    return;
  }
  showSources();
  byId("whose").hidden = sources.length < 2;
  byId("whose").addEventListener("click", function (event) {
    if (!event.target.dataset.whose) return;
    listsAll = event.target.dataset.whose === "all";
    listEvents();
    app.request();
  });
  listenToStage(stage, app);
  listenToControls(scrub, app);
  // A link may name a moment: report.html#t=12.5 or #source=2&t=3; with &events=all all recordings' events are listed.
  var wanted = new URLSearchParams(location.hash.slice(1)),
    number = Number(wanted.get("source")) - 1;
  listsAll = wanted.get("events") === "all" && sources.length > 1;
  choose(wanted.has("source") && sources[number] ? number : mostTelling(sources), wanted.has("t") ? Number(wanted.get("t")) || 0 : undefined);
}

start(JSON.parse(byId("data").textContent));
document.documentElement.dataset.ready = "true";
