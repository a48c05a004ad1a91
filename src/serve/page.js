"use strict";

/* The page of a listening test. The server decides what comes and keeps every answer; the page plays, shows and asks. It never learns
   which side is behind a button. */

/** Half of a dip in seconds: each press fades out, changes the path and fades in, also for the button that plays already. */
const DIP_SECONDS = 0.005;
/** Time between a press and its dip, which the browser may have computed already. */
const LEAD_SECONDS = 0.02;
/** Lag of the sound behind the clock, in seconds, from which sound counts as lost. */
const LOST_SECONDS = 0.25;
/** Frames that a browser computes at a time. */
const BLOCK_FRAMES = 128;
/** Most presses of a trial, as the server takes them. */
const MOST_PRESSES = 1000;
/** Milliseconds for which a sound device may take to start. */
const START_MS = 5000;

/** Reads a WAV file of 24-bit samples: rate in hertz, and a Float32Array for each channel. Nothing is converted or resampled. */
function readWav(bytes) {
  const view = new DataView(bytes);
  const name = (at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
  if (bytes.byteLength < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") throw new Error("The sound is no WAV file.");
  let width = 0, rate = 0, bits = 0;
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const size = view.getUint32(at + 4, true), body = at + 8;
    if (name(at) === "fmt ") {
      width = view.getUint16(body + 2, true);
      rate = view.getUint32(body + 4, true);
      bits = view.getUint16(body + 14, true);
    } else if (name(at) === "data") {
      if (bits !== 24 || width < 1 || body + size > bytes.byteLength) throw new Error("The sound is incomplete, or has not 24 bits.");
      const frames = size / (3 * width);
      const channels = Array.from({ length: width }, () => new Float32Array(frames));
      for (let frame = 0, byte = body; frame < frames; frame++) {
        for (let channel = 0; channel < width; channel++, byte += 3) {
          channels[channel][frame] = (view.getUint16(byte, true) + view.getInt8(byte + 2) * 65536) / 8388608;
        }
      }
      return { rate, channels };
    }
    at = body + size + (size % 2);
  }
  throw new Error("The sound has no samples.");
}

/** Plays one of several sounds of equal length at the same place of a loop, and dips at each press. All of them run all the time, and
    all but one are multiplied by 0. */
class Player {
  constructor(context) {
    this.context = context;
    this.rate = context.sampleRate;
    this.half = Math.round(DIP_SECONDS * this.rate);
    const cosine = (share) => 0.5 + 0.5 * Math.cos(Math.PI * share);
    this.down = Float32Array.from({ length: this.half + 1 }, (_, frame) => cosine(frame / this.half));
    this.up = this.down.slice().reverse();
    this.output = context.createGain();
    this.output.connect(context.destination);
    this.buffers = new Map();
    this.paths = null;
    this.dip = null;
  }

  /** Takes the sounds of a trial, by name; what played before stops. */
  load(sounds, loop) {
    this.play(null);
    this.loop = loop;
    this.buffers = new Map();
    for (const [name, { rate, channels }] of sounds) {
      const buffer = this.context.createBuffer(channels.length, channels[0].length, rate);
      channels.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
      this.buffers.set(name, buffer);
    }
  }

  /** Plays a sound, or nothing, through a dip. A press during a fade-out takes the place of the one before; one during a fade-in waits
      for its end. From silence, the loop plays from its beginning. */
  play(name) {
    const starts = name !== null && !this.paths;
    if (starts) this.paths = this.connect();
    const bottom = this.bottom() / this.rate;
    for (const [path, { gain, source }] of this.paths || []) {
      gain.gain.cancelScheduledValues(bottom);
      gain.gain.setValueAtTime(path === name ? 1 : 0, bottom);
      if (starts) source.start(bottom);
      if (name === null) source.stop(bottom + 1 / this.rate);
    }
    if (name === null) this.paths = null;
  }

  /** The frame in the middle of a dip: of the one whose fade-out is to come or under way, else of a new one. */
  bottom() {
    for (let tries = 1; ; tries++) {
      const now = Math.ceil((this.context.currentTime + LEAD_SECONDS) * this.rate);
      if (this.dip && now <= this.dip.bottom) return this.dip.bottom;
      const begin = Math.max(now, this.dip ? this.dip.end : 0);
      const bottom = begin + this.half;
      const gain = this.output.gain;
      try {
        gain.setValueCurveAtTime(this.down, begin / this.rate, this.half / this.rate);
        gain.setValueCurveAtTime(this.up, (bottom + 1) / this.rate, this.half / this.rate);
      } catch (error) {
        // The page was held up for so long that the fades lie in the past, where a browser moves them to now: they come later.
        gain.cancelScheduledValues(begin / this.rate);
        if (tries === 10) throw error;
        continue;
      }
      this.dip = { bottom, end: begin + 2 * this.half + 1 };
      return bottom;
    }
  }

  /** Makes a path for each sound, silent and not started. */
  connect() {
    const paths = new Map();
    for (const [name, buffer] of this.buffers) {
      const source = this.context.createBufferSource(), gain = this.context.createGain();
      source.buffer = buffer;
      source.loop = this.loop;
      gain.gain.value = 0;
      source.connect(gain).connect(this.output);
      source.onended = () => gain.disconnect();
      paths.set(name, { gain, source });
    }
    return paths;
  }
}

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const seconds = () => performance.now() / 1000;

/** Names of the buttons, the answers, the keys and the question of each form. */
const FORMS = {
  abx: {
    names: { first: "A", second: "B", x: "X" },
    keys: { a: "first", b: "second", x: "x", 1: "first", 2: "second", 3: "x" },
    answers: [["first", "X is A"], ["second", "X is B"]],
    question: "Which one is X?",
  },
  preference: {
    names: { first: "1", second: "2" },
    keys: { a: "first", b: "second", 1: "first", 2: "second" },
    answers: [["first", "1 is better"], ["second", "2 is better"]],
    question: "Which one do you prefer?",
  },
  "same-different": {
    names: { first: "1", second: "2" },
    keys: { a: "first", b: "second", 1: "first", 2: "second" },
    answers: [["same", "The same"], ["different", "Different"]],
    question: "Are they the same?",
  },
};
const PARTS = { training: "Training", control: "Positive control", test: "Test" };
const LEVELS = ["a guess", "", "", "certain"];
const SECTIONS = ["start", "check", "trial", "confidence", "next", "result", "again"];

/** The link: a token, and the secret of this browser, which others do not have. */
let [token, secret] = location.hash.slice(1).split(".");
/** The visit that the server knows this page by, and what it shows. */
let visit = null, view = null;
let context = null, player = null;
/** The step that was sent and not acknowledged yet. */
let pending = null;
/** True while the server is waited for. */
let busy = false;
/** The trial: its start, presses, what plays, what played before, and both clocks at its first press. */
let trial = null;

/** The secret of this browser for the token, kept in the browser. */
function ownSecret() {
  const key = `isotherm ${token}`;
  const stored = () => { try { return localStorage.getItem(key); } catch { return null; } };
  secret = secret || stored() || Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try { localStorage.setItem(key, secret); } catch { say("This browser keeps nothing, so the link for another device is the only way back."); }
  if (stored() === secret) history.replaceState(null, "", `#${token}`);
  return secret;
}

/** Words on what goes wrong, which stay until the next step. */
function say(words) {
  $("alert").textContent = words;
}

/** Asks the server, and again while it does not answer. Sends a body as JSON. Throws an error with the server's line and code. */
async function ask(path, body) {
  const headers = visit ? { Authorization: `Bearer ${visit}` } : {};
  const request = { headers, cache: "no-store", credentials: "omit" };
  if (body) Object.assign(request, { method: "POST", body: JSON.stringify(body), headers: { ...headers, "Content-Type": "application/json" } });
  for (let wait = 500; ; wait = Math.min(2 * wait, 5000)) {
    let response;
    try {
      response = await fetch(`/api/${path}`, request);
      if (response.ok) return path.startsWith("sounds/") ? await response.arrayBuffer() : await response.json();
    } catch {
      say("The server does not answer. Your answers are kept there; this page tries again.");
      await sleep(wait);
      continue;
    }
    if (response.status === 429) {
      await sleep(1100);
      continue;
    }
    const { code, error } = await response.json().catch(() => ({ code: "fault", error: `the server answers ${response.status}` }));
    throw Object.assign(new Error(error), { code });
  }
}

/** Opens the sound device at the rate of the sounds; throws words on why not. */
async function openSound(rate, channels) {
  const Context = window.AudioContext;
  if (!Context) throw new Error("This browser plays no sound by script (Web Audio), so the test cannot be taken here. Take another browser.");
  if (context && context.state !== "closed") await context.close();
  try {
    context = new Context({ sampleRate: rate, latencyHint: "interactive" });
  } catch (error) {
    throw new Error(`This browser cannot play at ${rate} Hz (${error.message}), so the test cannot be taken here: nothing is converted in a test.`);
  }
  if (context.sampleRate !== rate) {
    throw new Error(`This browser plays at ${context.sampleRate} Hz and the sound has ${rate} Hz, so the test cannot be taken here: nothing is converted in a test. Set the sound device to ${rate} Hz, or take another browser.`);
  }
  if (context.destination.maxChannelCount < channels) {
    throw new Error(`The sound device has ${context.destination.maxChannelCount} channel and the sound ${channels}, so the test cannot be taken here. Take another device.`);
  }
  await wake();
  const before = context.currentTime;
  for (let waited = 0; context.currentTime === before; waited += 50) {
    if (waited > START_MS) throw new Error("The sound does not start: the browser has no sound device, or another program holds it. Connect one and press the button again.");
    await sleep(50);
  }
  context.onstatechange = () => {
    if (context.state === "running" || !trial || !trial.playing) return;
    [trial.playing, trial.paused] = [null, true];
    paint();
    say("The browser has paused the sound. Press a button to go on.");
  };
  player = new Player(context);
}

/** Starts a sound device that the browser has paused. */
async function wake() {
  if (context.state === "running") return;
  await Promise.race([context.resume(), sleep(START_MS)]);
}

/** Begins a visit, or another one. */
async function enter() {
  if (busy) return;
  busy = true;
  paint();
  say("");
  try {
    if (!token) throw new Error("This link is not complete. Open the link that you were given, in full.");
    visit = null;
    const { visit: id, ...entered } = await ask("enter", { token, secret: ownSecret() });
    visit = id;
    await openSound(entered.sample_rate, entered.channels);
    let now = entered;
    if (pending) {
      // The step may have been taken before the server went: then it is not taken again.
      now = await ask("step", pending).catch(() => entered);
      pending = null;
    }
    await show(now);
  } catch (error) {
    say(error.message);
  } finally {
    busy = false;
    paint();
  }
}

/** Posts a step, and shows what comes next. */
async function act(action) {
  if (busy) return;
  pending = { after: view.receipt, action };
  await settle(async () => {
    const next = await ask("step", pending);
    pending = null;
    return next;
  });
}

/** Asks the server for what is to be shown, and shows it. */
async function settle(asked) {
  busy = true;
  paint();
  let words = "";
  try {
    await show(await asked());
  } catch (error) {
    words = error.message;
    if (error.code === "other-visit") {
      player.play(null);
      $("heading").textContent = "This page no longer counts";
      only("again");
    } else {
      pending = null;
      // The page is behind: it shows the step that the test is at, and the line on the one that was refused.
      if (["out-of-turn", "sound-check"].includes(error.code)) await ask("state").then(show).catch(() => {});
    }
  }
  busy = false;
  say(words);
  paint();
}

/** Shows one section alone. */
function only(section) {
  for (const id of SECTIONS) $(id).hidden = id !== section;
  document.documentElement.dataset.shows = section;
}

/** Shows what the server says. A sound whose way here broke off is asked for anew, with the state. */
async function show(next) {
  for (let tries = 1; ; tries++) {
    try {
      return await draw(next);
    } catch (error) {
      if (error.code !== "no-sound" || tries === 3) throw error;
      next = await ask("state");
    }
  }
}

/** Shows a state. */
async function draw(next) {
  view = next;
  trial = null;
  say("");
  $("who").textContent = ` · listener ${view.listener}`;
  $("foot").hidden = false;
  $("receipt").textContent = view.receipt;
  $("link").textContent = `${location.origin}/#${token}.${secret}`;
  $("note").textContent = view.note || "";
  $("progress").hidden = view.stage !== "test";
  $("untrain").hidden = !(view.stage === "test" && view.part === "training");
  $("early").hidden = view.stage !== "test";
  $("sure").hidden = true;
  $("committed").hidden = !view.commitment;
  $("commitment").textContent = view.commitment || "";
  if (view.stage === "sound-check") await showCheck();
  else if (view.stage === "ended") showResult();
  else await showStep();
  $("heading").focus();
  window.scrollTo(0, 0);
}

async function showCheck() {
  $("heading").textContent = "First, is the sound right?";
  only("check");
  const asked = view;
  const [fewest, most] = view.pulses;
  $("counts").replaceChildren(...Array.from({ length: most - fewest + 1 }, (_, index) => numberButton(fewest + index, "")));
  trial = { isCheck: true, hasPlayed: false, playing: null, isReady: false };
  paint();
  player.load([["pulses", readWav(await ask(`sounds/${asked.sound}`))]], false);
  trial.isReady = true;
}

async function showStep() {
  $("part").textContent = PARTS[view.part];
  $("count").textContent = view.of === null ? `trial ${view.number}` : `trial ${view.number} of ${view.of}`;
  $("bar").value = view.of === null ? 0 : (view.number - 1) / view.of;
  $("bar").hidden = view.of === null;
  if (view.step === "answer") return showTrial();
  player.play(null);
  $("heading").textContent = view.instruction;
  if (view.step === "confidence") {
    $("levels").replaceChildren(...LEVELS.map((words, index) => numberButton(index + 1, words)));
    only("confidence");
  } else {
    $("continue").textContent = { introduction: "Begin", feedback: "Next trial", pause: "Go on" }[view.step];
    only("next");
  }
}

async function showTrial() {
  const { names, answers, question } = FORMS[view.form];
  only("trial");
  $("heading").textContent = "One moment: the sounds of this trial are loading.";
  $("sounds").replaceChildren(...view.sounds.map(({ button }) => soundButton(button, names[button])));
  $("question").textContent = question;
  $("choices").replaceChildren(...answers.map(([answer, words]) => choice(answer, words)));
  $("playkeys").replaceChildren(...Object.values(names).flatMap((name) => [keyName(name), " "]));
  trial = { isReady: false, start: 0, presses: [], playing: null, before: null, clocks: null };
  paint();
  const sounds = [];
  for (const { button, sound } of view.sounds) sounds.push([button, readWav(await ask(`sounds/${sound}`))]);
  player.load(sounds, true);
  $("heading").textContent = view.instruction;
  Object.assign(trial, { isReady: true, start: seconds() });
}

function showResult() {
  player.play(null);
  $("heading").textContent = "The test has ended.";
  const paragraph = (text) => Object.assign(document.createElement("p"), { textContent: text });
  $("sentences").replaceChildren(...view.sentences.map(paragraph));
  $("figures").replaceChildren(...view.figures.map(([name, figure]) => {
    const row = document.createElement("div");
    row.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: figure }));
    return row;
  }));
  $("remarks").replaceChildren(...view.remarks.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  only("result");
}

function button(text) {
  return Object.assign(document.createElement("button"), { type: "button", textContent: text });
}

function keyName(name) {
  return Object.assign(document.createElement("kbd"), { textContent: name });
}

function soundButton(id, name) {
  const made = button("");
  const label = Object.assign(document.createElement("span"), { className: "name", textContent: name });
  const state = Object.assign(document.createElement("span"), { className: "state" });
  made.append(label, state);
  made.className = "sound";
  made.dataset.button = id;
  made.setAttribute("aria-label", `Play ${name}`);
  made.onclick = () => press(id);
  return made;
}

function numberButton(number, words) {
  const made = button(number);
  made.dataset.number = number;
  if (words) {
    made.append(Object.assign(document.createElement("small"), { textContent: words }));
    made.setAttribute("aria-label", `${number}, ${words}`);
  }
  made.onclick = () => choose(number);
  return made;
}

function choice(answer, words) {
  const label = document.createElement("label"), input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "answer", value: answer });
  label.className = "choice";
  label.append(input, words);
  return label;
}

/** Shows what plays and what can be pressed. */
function paint() {
  const isCheck = Boolean(trial && trial.isCheck);
  const isReady = Boolean(trial && trial.isReady);
  for (const made of document.querySelectorAll("#sounds .sound")) {
    const plays = Boolean(trial && trial.playing === made.dataset.button);
    made.setAttribute("aria-pressed", plays);
    made.querySelector(".state").textContent = plays ? "plays" : "";
    made.disabled = busy || !isReady;
  }
  $("hear").disabled = busy || !isReady;
  $("hear").setAttribute("aria-pressed", Boolean(isCheck && trial.playing));
  for (const made of document.querySelectorAll("#counts button")) made.disabled = busy || !(isCheck && trial.hasPlayed);
  for (const made of document.querySelectorAll("#levels button, #choices input, .main, #untrain, #sure")) made.disabled = busy;
  $("answer").disabled = busy || !isReady;
  document.documentElement.dataset.ready = String(!busy);
}

/** Plays what is behind a button. */
async function press(id) {
  if (busy || !trial || !trial.isReady || trial.isCheck || !(id in FORMS[view.form].names)) return;
  if (trial.presses.length >= MOST_PRESSES) {
    say(`A trial has at most ${MOST_PRESSES} presses. Answer now; guess if you are not sure.`);
    return;
  }
  say("");
  const own = trial;
  await wake();
  if (trial !== own) return;
  player.play(id);
  trial.clocks = trial.clocks || { wall: seconds(), sound: context.currentTime };
  trial.presses.push({ button: id, at: seconds() - trial.start });
  if (trial.playing !== id) trial.before = trial.playing || trial.before;
  trial.playing = id;
  paint();
}

/** Plays what was played before the last press; at first, the other one of the first two. */
function switchBack() {
  if (!trial || trial.isCheck) return;
  const other = trial.playing === "first" ? "second" : "first";
  press(trial.before && trial.before !== trial.playing ? trial.before : other);
}

/** Blocks of sound that were lost in this trial, by the lag of the sound behind the clock. */
function lostBlocks() {
  if (!trial.clocks) return 0;
  const lag = seconds() - trial.clocks.wall - (context.currentTime - trial.clocks.sound);
  const lost = lag > LOST_SECONDS ? Math.ceil((lag * context.sampleRate) / BLOCK_FRAMES) : 0;
  return Math.max(lost, trial.paused ? 1 : 0);
}

function answer() {
  if (busy || !trial || !trial.isReady || trial.isCheck) return;
  const chosen = document.querySelector("#choices input:checked");
  if (!trial.presses.length) return say("Listen first: press one of the buttons.");
  if (!chosen) return say("Choose an answer first.");
  const drop_outs = lostBlocks();
  player.play(null);
  trial.playing = null;
  act({ kind: "answer", answer: chosen.value, seconds: seconds() - trial.start, switches: trial.presses, drop_outs });
}

/** Plays the pulses of the sound check, from the beginning. */
async function hear() {
  if (busy || !trial || !trial.isCheck || !trial.isReady) return;
  await wake();
  player.play(null);
  player.play("pulses");
  [trial.hasPlayed, trial.playing] = [true, "pulses"];
  paint();
}

/** Takes a number: pulses that were counted, or how sure the listener is. */
function choose(number) {
  if (busy || !view) return;
  if (view.stage === "sound-check" && trial && trial.hasPlayed) {
    player.play(null);
    settle(() => ask("sound-check", { pulses: number, sample_rate: context.sampleRate }));
  } else if (view.step === "confidence" && number >= 1 && number <= LEVELS.length) {
    act({ kind: "confidence", confidence: number });
  }
}

function goOn() {
  if (view && view.stage === "test" && ["introduction", "feedback", "pause"].includes(view.step)) act({ kind: "continue" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const onControl = event.target.closest("button, summary, a");
  const shows = document.documentElement.dataset.shows;
  const done = () => event.preventDefault();
  if ((key === "Enter" || key === " ") && onControl) return;
  if (shows === "trial" && view) {
    if (key in FORMS[view.form].keys) { press(FORMS[view.form].keys[key]); done(); }
    else if (key === "s" || key === " ") { switchBack(); done(); }
    else if (key === "ArrowLeft" || key === "ArrowRight") {
      const inputs = document.querySelectorAll("#choices input");
      const input = inputs[key === "ArrowLeft" ? 0 : 1];
      if (input && !input.disabled) { input.checked = true; input.focus(); }
      done();
    } else if (key === "Enter") { answer(); done(); }
  } else if (/^[1-9]$/.test(key)) { choose(Number(key)); }
  else if (shows === "check" && (key === "p" || key === " ")) { hear(); done(); }
  else if (shows === "next" && key === "Enter") { goOn(); done(); }
  else if ((shows === "start" || shows === "again") && key === "Enter") { enter(); done(); }
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && context && context.state === "suspended") wake();
});

$("begin").onclick = enter;
$("again").onclick = enter;
$("hear").onclick = hear;
$("answer").onclick = answer;
$("continue").onclick = goOn;
$("untrain").onclick = () => act({ kind: "end-training" });
$("abort").onclick = () => { $("sure").hidden = false; $("sure").focus(); };
$("sure").onclick = () => act({ kind: "abort" });
$("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText($("link").textContent);
    $("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("link"));
  }
};
// A link that is opened in this tab is another test.
window.addEventListener("hashchange", () => location.reload());

$("heading").textContent = token ? "Welcome to this listening test" : "This link is not complete";
if (!token) say("Open the link that you were given, in full.");
only(token ? "start" : "none");
paint();
