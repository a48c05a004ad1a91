"use strict";
(() => {
  const data = (id) => JSON.parse(document.getElementById(id).textContent);
  const plots = data("plots");
  const players = data("players");
  const NS = "http://www.w3.org/2000/svg";
  const node = (name, attributes = {}, text) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const html = (name, properties = {}, text) => {
    const element = Object.assign(document.createElement(name), properties);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const short = (value) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return "";
    const size = Math.abs(value);
    if (size >= 1000) return `${+(value / 1000).toPrecision(3)}k`;
    return size !== 0 && size < 0.001 ? value.toExponential(1) : `${+value.toPrecision(3)}`;
  };

  // Plots: SVG with a cursor, zoom along x by dragging or keys, and curves that can be hidden.
  // A plot is drawn in the pixels that it has, so that its text is 12 px at any width of the page.
  const EDGE = { left: 58, right: 20, top: 12, bottom: 44 };
  const SHAPE = 0.57;
  const MIN_SIZE = { width: 240, height: 230 };
  // Width of a plot on paper, where two stand side by side.
  const PAPER_WIDTH = 340;
  // Least distance of two numbers on an axis in pixels: along it for numbers that stand side by side, and above each other.
  const TICK_WIDTH = 24;
  const TICK_HEIGHT = 34;
  // The same for numbers that a plot names, which are written in full.
  const NAMED_TICK_WIDTH = 32;
  // Steps of a decade, the finest first.
  const DECADE_STEPS = [[1, 1.5, 2, 3, 4, 5, 6, 8], [1, 2, 5], [1]];
  // Lengths of dashes and gaps: A is solid, B dashed, a known change of A dotted.
  const DASHES = { solid: "none", dashed: "7 4", dotted: "2 3" };
  const strokeOf = (curve) => ({ stroke: `var(--${curve.colour})`, "stroke-dasharray": DASHES[curve.dash], "stroke-width": curve.thin ? 1.2 : 2.4 });
  const setUpPlot = (figure) => {
    const plot = plots[figure.dataset.plot];
    const field = figure.querySelector(".field");
    const readout = figure.querySelector(".readout");
    const curves = plot.series.map((series) => ({ ...series, isShown: true }));
    const log = plot.x.log;
    const scale = (x) => (log ? Math.log10(x) : x);
    const unscale = (x) => (log ? 10 ** x : x);
    const all = curves.flatMap((curve) => curve.x.map(scale)).filter(Number.isFinite);
    const whole = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
    if (whole[0] === whole[1]) whole[1] += 1;
    let view = [...whole];
    let cursor = null;
    let drag = null;
    const SIZE = { ...EDGE };
    const inner = {};
    const fit = (width) => {
      SIZE.width = Math.max(MIN_SIZE.width, width);
      SIZE.height = Math.max(MIN_SIZE.height, Math.round(SIZE.width * SHAPE));
      inner.width = SIZE.width - SIZE.left - SIZE.right;
      inner.height = SIZE.height - SIZE.top - SIZE.bottom;
    };
    const xOf = (x) => SIZE.left + ((scale(x) - view[0]) / (view[1] - view[0])) * inner.width;
    let range = [0, 1];
    const yOf = (y) => SIZE.top + ((range[1] - y) / (range[1] - range[0])) * inner.height;

    const ticksOf = (low, high, count) => {
      const rough = (high - low) / count;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
      const ticks = [];
      for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push(+tick.toPrecision(12));
      return ticks;
    };
    const within = (tick) => scale(tick) >= view[0] - 1e-9 && scale(tick) <= view[1] + 1e-9;
    const leastGap = (ticks) => Math.min(Infinity, ...ticks.slice(1).map((tick, i) => xOf(tick) - xOf(ticks[i])));
    const logTicks = () => {
      const sets = DECADE_STEPS.map((steps) => {
        const ticks = [];
        for (let power = Math.floor(view[0]); power <= Math.ceil(view[1]); power += 1)
          ticks.push(...steps.map((step) => +(step * 10 ** power).toPrecision(12)).filter(within));
        return ticks;
      });
      return sets.find((ticks) => leastGap(ticks) >= TICK_WIDTH) ?? sets.at(-1);
    };
    // The ticks that the plot names, or every second, fourth ... of them where there is no room.
    const namedTicks = () => {
      const ticks = plot.x.ticks.filter(within);
      let step = 1;
      while (step < ticks.length && leastGap(ticks.filter((_, i) => i % step === 0)) < NAMED_TICK_WIDTH) step *= 2;
      return ticks.filter((_, i) => i % step === 0);
    };
    const xTicks = () => {
      const named = namedTicks();
      if (named.length > 1) return named;
      return log ? logTicks() : ticksOf(view[0], view[1], Math.min(8, inner.width / 60));
    };
    const draw = () => {
      const seen = curves.filter((curve) => curve.isShown);
      const values = seen.flatMap((curve) =>
        curve.y.filter((y, i) => y !== null && scale(curve.x[i]) >= view[0] && scale(curve.x[i]) <= view[1]));
      let low = Math.min(...values), high = Math.max(...values);
      if (!values.length) [low, high] = [0, 1];
      if (plot.y.from !== null) low = Math.min(low, plot.y.from);
      if (plot.y.floor !== null) low = Math.max(low, Math.min(plot.y.floor, high - 1));
      const margin = (high - low || Math.abs(high) || 1) * 0.06;
      range = [low === plot.y.from ? low : low - margin, high + margin];
      const svg = node("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, "aria-hidden": "true" });
      const clip = `clip-${figure.dataset.plot}`;
      const clipPath = node("clipPath", { id: clip });
      clipPath.append(node("rect", { x: SIZE.left, y: SIZE.top, width: inner.width, height: inner.height }));
      svg.append(clipPath);
      for (const tick of ticksOf(range[0], range[1], Math.min(7, inner.height / TICK_HEIGHT))) {
        svg.append(node("line", { class: "grid", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: yOf(tick), y2: yOf(tick) }));
        svg.append(node("text", { x: SIZE.left - 7, y: yOf(tick) + 4, "text-anchor": "end" }, short(tick)));
      }
      for (const tick of xTicks()) {
        svg.append(node("line", { class: "grid", x1: xOf(tick), x2: xOf(tick), y1: SIZE.top, y2: SIZE.height - SIZE.bottom }));
        svg.append(node("text", { x: xOf(tick), y: SIZE.height - SIZE.bottom + 17, "text-anchor": "middle" },
          plot.x.ticks.includes(tick) ? String(tick) : short(tick)));
      }
      svg.append(node("text", { x: SIZE.left + inner.width / 2, y: SIZE.height - 8, "text-anchor": "middle" }, plot.x.label));
      const middle = SIZE.top + inner.height / 2;
      svg.append(node("text", { x: 13, y: middle, "text-anchor": "middle", transform: `rotate(-90 13 ${middle})` }, plot.y.label));
      for (const curve of seen) {
        let path = "", isDown = false;
        curve.x.forEach((x, i) => {
          if (curve.y[i] === null || !Number.isFinite(scale(x))) { isDown = false; return; }
          path += `${isDown ? "L" : "M"}${xOf(x).toFixed(1)} ${yOf(curve.y[i]).toFixed(1)}`;
          isDown = true;
        });
        svg.append(node("path", { class: "curve", d: path, "clip-path": `url(#${clip})`, ...strokeOf(curve) }));
      }
      if (drag) {
        const [left, right] = [Math.min(...drag), Math.max(...drag)];
        svg.append(node("rect", { class: "band", x: left, y: SIZE.top, width: right - left, height: inner.height }));
      }
      if (cursor !== null) svg.append(node("line", { class: "cursor", x1: xOf(cursor), x2: xOf(cursor), y1: SIZE.top, y2: SIZE.height - SIZE.bottom }));
      field.replaceChildren(svg);
    };
    const nearest = (curve, x) => {
      let best = -1;
      curve.x.forEach((value, i) => {
        if (curve.y[i] === null) return;
        if (best < 0 || Math.abs(scale(value) - scale(x)) < Math.abs(scale(curve.x[best]) - scale(x))) best = i;
      });
      return best;
    };
    const moveCursor = (x) => {
      cursor = unscale(Math.min(view[1], Math.max(view[0], scale(x))));
      const parts = curves.filter((curve) => curve.isShown).map((curve) => {
        const i = nearest(curve, cursor);
        return i < 0 ? "" : `${curve.name} ${short(curve.y[i])}`;
      }).filter(Boolean);
      readout.textContent = `${short(cursor)} ${plot.x.unit}: ${parts.join(", ")}`;
      draw();
    };
    const zoom = (factor, around) => {
      const centre = around ?? (cursor === null ? (view[0] + view[1]) / 2 : scale(cursor));
      let [low, high] = view.map((edge) => centre + (edge - centre) * factor);
      if (high - low >= whole[1] - whole[0]) [low, high] = whole;
      view = [Math.max(low, whole[0]), Math.min(high, whole[1])];
      draw();
    };
    const showAll = () => { view = [...whole]; cursor = null; readout.textContent = ""; draw(); };
    const atPointer = (event) => {
      const box = field.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * SIZE.width;
    };
    const xAt = (pixel) => unscale(view[0] + ((pixel - SIZE.left) / inner.width) * (view[1] - view[0]));
    field.addEventListener("pointerdown", (event) => { const at = atPointer(event); drag = [at, at]; });
    field.addEventListener("pointermove", (event) => {
      if (drag) drag[1] = atPointer(event);
      moveCursor(xAt(atPointer(event)));
    });
    const endDrag = () => {
      if (drag && Math.abs(drag[1] - drag[0]) > 12) {
        const edges = drag.map((pixel) => scale(xAt(pixel))).sort((a, b) => a - b);
        view = [Math.max(edges[0], whole[0]), Math.min(edges[1], whole[1])];
      }
      drag = null;
      draw();
    };
    field.addEventListener("pointerup", endDrag);
    field.addEventListener("pointerleave", endDrag);
    field.addEventListener("dblclick", showAll);
    field.addEventListener("keydown", (event) => {
      const step = (view[1] - view[0]) / 50;
      const at = cursor === null ? (view[0] + view[1]) / 2 : scale(cursor);
      const keys = { ArrowLeft: () => moveCursor(unscale(at - step)), ArrowRight: () => moveCursor(unscale(at + step)),
        Home: () => moveCursor(unscale(view[0])), End: () => moveCursor(unscale(view[1])),
        "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: showAll, Escape: showAll };
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    const legend = html("div", { className: "legend" });
    for (const curve of curves) {
      const button = html("button", { type: "button" });
      const line = node("svg", { width: 26, height: 8, "aria-hidden": "true" });
      line.append(node("line", { x1: 0, x2: 26, y1: 4, y2: 4, ...strokeOf(curve) }));
      button.append(line, curve.name);
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        curve.isShown = !curve.isShown;
        button.setAttribute("aria-pressed", String(curve.isShown));
        draw();
      });
      legend.append(button);
    }
    const tools = html("div", { className: "tools" });
    for (const [text, label, action] of [["+", "Zoom in", () => zoom(0.5)], ["−", "Zoom out", () => zoom(2)], ["All", "Show all", showAll]]) {
      const button = html("button", { type: "button" }, text);
      button.setAttribute("aria-label", `${label}: ${plot.title}`);
      button.addEventListener("click", action);
      tools.append(button);
    }
    figure.querySelector(".readout").before(legend, tools);
    const values = figure.querySelector(".values");
    values.addEventListener("toggle", () => {
      if (values.querySelector("table")) return;
      const table = html("table");
      const head = table.createTHead().insertRow();
      for (const name of ["Curve", plot.x.label, plot.y.label]) head.append(html("th", { scope: "col" }, name));
      const body = table.createTBody();
      for (const curve of curves) curve.x.forEach((x, i) => {
        const row = body.insertRow();
        row.append(html("th", { scope: "row" }, curve.name), html("td", {}, short(x)), html("td", {}, short(curve.y[i])));
      });
      const scroll = html("div", { className: "scroll" });
      scroll.setAttribute("role", "region");
      scroll.setAttribute("aria-label", `Values of ${plot.title}`);
      scroll.append(table);
      values.append(scroll);
      markWide();
    });
    figure.redraw = (width) => {
      const to = Math.round(width ?? field.clientWidth);
      if (to > 0 && to !== SIZE.width) { fit(to); draw(); }
    };
    figure.redraw();
  };
  // Plots of hidden sounds are drawn when they are shown.
  const drawPlots = () => document.querySelectorAll(".plot:not([data-drawn])").forEach((figure) => {
    if (figure.closest("[hidden]")) return;
    figure.dataset.drawn = "true";
    setUpPlot(figure);
  });
  const redraw = (width) => document.querySelectorAll(".plot[data-drawn]").forEach((figure) => figure.redraw(width));

  // A table that is wider than the page says so, and can be reached and scrolled by keys.
  const markWide = () => document.querySelectorAll(".scroll").forEach((scroll) => {
    const isWide = scroll.scrollWidth > scroll.clientWidth + 1;
    scroll.classList.toggle("wide", isWide);
    if (isWide) scroll.tabIndex = 0;
    else scroll.removeAttribute("tabindex");
  });
  const onWidth = () => { redraw(); markWide(); };
  window.addEventListener("resize", onWidth);
  document.addEventListener("toggle", markWide, true);

  // Details of one sound at a time, on a page that has some.
  const choice = document.getElementById("sound");
  const showSound = () => {
    document.querySelectorAll(".sound").forEach((part) => { part.hidden = part.dataset.sound !== choice.value; });
    drawPlots();
    onWidth();
  };
  choice?.addEventListener("change", showSound);
  showSound();

  // On paper: all sounds, and what is folded up.
  const unfolded = [];
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details.printed:not([open])").forEach((details) => { details.open = true; unfolded.push(details); });
    document.querySelectorAll(".sound").forEach((part) => { part.hidden = false; });
    drawPlots();
    redraw(PAPER_WIDTH);
  });
  window.addEventListener("afterprint", () => {
    unfolded.splice(0).forEach((details) => { details.open = false; });
    showSound();
  });

  // Players: all tracks run in step, and a switch only changes their gains.
  const SWITCH_SECONDS = 0.005;
  // The fade at both ends of a region, which is played in a loop.
  const FADE_SECONDS = 0.005;
  const cutRegion = (buffer, { start, seconds }) => {
    const first = Math.round(start * buffer.sampleRate);
    const length = Math.max(1, Math.min(Math.round(seconds * buffer.sampleRate), buffer.length - first));
    const fade = Math.max(1, Math.min(FADE_SECONDS * buffer.sampleRate, length / 2));
    const part = new AudioBuffer({ length, numberOfChannels: buffer.numberOfChannels, sampleRate: buffer.sampleRate });
    for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
      const samples = buffer.getChannelData(channel).slice(first, first + length);
      for (let i = 0; i < fade; i += 1) {
        samples[i] *= i / fade;
        samples[length - 1 - i] *= i / fade;
      }
      part.copyToChannel(samples, channel);
    }
    return part;
  };
  // Seconds that a key moves the place: a tenth of a part, at most half a second.
  const seekStep = (seconds) => Math.min(0.5, seconds / 10);
  let context = null;
  let playing = null;
  const decoded = new Map();
  // The buffers of a player's tracks, decoded once.
  const buffersOf = (player) => {
    if (!decoded.has(player)) {
      decoded.set(player, Promise.all(player.tracks.map((track) => {
        const text = atob(track.file);
        const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
        return context.decodeAudioData(bytes.buffer);
      })));
    }
    return decoded.get(player);
  };
  // The sound of an element with a row of tracks. `onChange` is called when it starts, stops or moves on.
  const setUpSound = (element, onChange) => {
    const player = players[Number(element.dataset.player)];
    const tracks = [...element.querySelectorAll(".track")];
    let voices = [], heard = "a", started = 0, offset = 0, region = player.regions[0];
    // Number of the last start or stop: a start that waits for its buffers gives up if another one came.
    let turn = 0;
    const isOn = () => element.dataset.state === "playing";
    const placeIn = () => (voices.length ? offset + Math.max(0, context.currentTime - started) : offset) % region.seconds;
    let frame = 0;
    const show = () => {
      cancelAnimationFrame(frame);
      element.dataset.place = placeIn().toFixed(4);
      onChange();
      if (voices.length) frame = requestAnimationFrame(show);
    };
    const silence = () => {
      offset = placeIn();
      voices.forEach((voice) => voice.source.stop());
      voices = [];
    };
    const stop = () => {
      turn += 1;
      silence();
      element.dataset.state = "stopped";
      if (playing === stop) playing = null;
      show();
    };
    const start = async () => {
      if (playing && playing !== stop) playing();
      playing = stop;
      element.dataset.state = "playing";
      turn += 1;
      const mine = turn;
      context ??= new AudioContext();
      await context.resume();
      const buffers = await buffersOf(player);
      if (mine !== turn) return;
      silence();
      const at = context.currentTime + 0.02;
      voices = buffers.map((buffer, i) => {
        const source = new AudioBufferSourceNode(context, { buffer: cutRegion(buffer, region), loop: true });
        const gain = new GainNode(context, { gain: player.tracks[i].id === heard ? 1 : 0 });
        source.connect(gain).connect(context.destination);
        source.start(at, offset);
        return { source, gain, id: player.tracks[i].id };
      });
      started = at;
      show();
    };
    const hear = (id) => {
      heard = id;
      element.dataset.heard = id;
      for (const track of tracks) track.setAttribute("aria-pressed", String(track.dataset.track === id));
      for (const voice of voices) voice.gain.gain.setTargetAtTime(voice.id === id ? 1 : 0, context.currentTime, SWITCH_SECONDS / 3);
    };
    // Moves to a place of a region, and goes on if it plays.
    const moveTo = (place, to = region) => {
      silence();
      region = to;
      offset = Math.min(Math.max(0, place), to.seconds * 0.999);
      if (isOn()) start();
      show();
    };
    tracks.forEach((track) => track.addEventListener("click", () => hear(track.dataset.track)));
    element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const track = tracks[Number(event.key) - 1];
      if (track) hear(track.dataset.track);
      else if (event.key === "Escape" && isOn()) stop();
      else return;
      event.preventDefault();
    });
    element.dataset.state = "stopped";
    hear("a");
    return { player, region: () => region, placeIn, isOn, start, stop, moveTo };
  };
  document.querySelectorAll(".player").forEach((element) => {
    const play = element.querySelector(".play");
    const choice = element.querySelector(".region");
    const position = element.querySelector(".position");
    const time = element.querySelector(".time");
    const sound = setUpSound(element, () => {
      const place = sound.placeIn();
      play.textContent = sound.isOn() ? "Stop" : "Play";
      position.value = String(Math.round((place / sound.region().seconds) * 1000));
      time.textContent = `${place.toFixed(1)} s`;
      position.setAttribute("aria-valuetext", `${time.textContent} of ${sound.region().seconds.toFixed(1)} s`);
    });
    play.addEventListener("click", () => (sound.isOn() ? sound.stop() : sound.start()));
    choice.addEventListener("change", () => sound.moveTo(0, sound.player.regions[Number(choice.value)]));
    position.addEventListener("input", () => sound.moveTo((Number(position.value) / 1000) * sound.region().seconds));
    position.addEventListener("keydown", (event) => {
      const step = seekStep(sound.region().seconds);
      const steps = { ArrowRight: step, ArrowUp: step, PageUp: 4 * step, ArrowLeft: -step, ArrowDown: -step, PageDown: -4 * step };
      if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      sound.moveTo(sound.placeIn() + steps[event.key]);
    });
    // The space bar is that of a button, which it presses, and of a list, which it opens.
    element.addEventListener("keydown", (event) => {
      if (event.key !== " " || event.target.matches("button, select")) return;
      event.preventDefault();
      play.click();
    });
  });
  // The worst windows play where they are listed, A first.
  document.querySelectorAll(".worst[data-player]").forEach((element) => {
    const buttons = [...element.querySelectorAll(".hear")];
    let current = null;
    const sound = setUpSound(element, () => buttons.forEach((button) => {
      const isHeard = button === current && sound.isOn();
      button.textContent = isHeard ? "Stop" : "Hear";
      button.setAttribute("aria-label", `${button.textContent} ${button.dataset.name}`);
    }));
    buttons.forEach((button) => button.addEventListener("click", () => {
      const isHeard = button === current && sound.isOn();
      current = button;
      if (isHeard) { sound.stop(); return; }
      sound.stop();
      sound.moveTo(0, sound.player.regions[Number(button.dataset.region)]);
      sound.start();
    }));
  });
  document.documentElement.dataset.ready = "true";
})();
