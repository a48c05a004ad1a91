// Loads an exported configuration with webMUSHRA's own YAML reader, its own start code and its own pages, in place of a browser, answers
// every page, and prints the session that webMUSHRA sends to its server. Arguments: webMUSHRA's folder, the configuration (its path
// below that folder), the listener's name, and the number of trials that are to be right.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");
const [root, file, listener, right] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(root, name), "utf8");

// Everything that draws or plays: it takes every call and gives itself back.
const nothing = () => new Proxy(function () {}, {
  get: (_, key) => (key === "length" ? 0 : key === Symbol.toPrimitive ? () => "" : key === "val" ? () => listener : nothing()),
  apply: () => nothing(),
  construct: () => nothing(),
  set: () => true,
});
const pages = [];
const context = vm.createContext({
  console, JSON, Math, Array, Date, RegExp, parseInt, parseFloat, decodeURIComponent, setInterval: () => 0, clearInterval: () => {},
  document: nothing(), window: { location: { search: `?config=${path.basename(file)}` }, AudioContext: undefined }, $: nothing(), nls: {},
  uuidv4: () => "0", Localizer: nothing(), PageTemplateRenderer: nothing(), AudioFileLoader: nothing(), MushraValidator: nothing(),
  DataSender: nothing(), ErrorHandler: function () { this.sendError = (text) => { throw new Error(text); }; },
  PageManager: function () { this.addPage = (page) => pages.push(page); this.addCallbackPageEventChanged = () => {}; },
  GenericPage: function (_manager, config) { this.pageConfig = config; this.kind = "generic"; },
});
for (const name of ["datamodel/Participant", "datamodel/Session", "datamodel/Stimulus", "datamodel/Trial", "datamodel/MUSHRARating",
  "datamodel/PairedComparisonChoice", "misc/Shuffle", "pages/PairedComparisonPage", "pages/PairedComparisonPageManager",
  "pages/MushraPage", "pages/FinishPage"])
  vm.runInContext(read(`lib/webmushra/${name}.js`), context);
vm.runInContext(read("lib/external/yaml/yaml.min.js"), context);
const load = "this.YAML";
const YAML = vm.runInContext(load, context) ?? context.window.YAML;
context.YAML = { load: (name, callback) => {
  if (name !== file) throw new Error(`webMUSHRA asks for ${name}`);
  callback(YAML.parse(read(file)));
} };
context.AudioContext = function () { this.destination = {}; };
vm.runInContext(read("startup.js"), context);

const session = context.session;
const seen = { pages: [], files: [] };
let trials = 0;
for (const page of pages) {
  const config = page.pageConfig;
  seen.pages.push([config.type, config.id ?? "", config.name]);
  if (config.type === "paired_comparison" || config.type === "mushra") {
    const stimuli = [page.reference, ...(page.condition ? [page.condition] : page.conditions)];
    for (const stimulus of stimuli) {
      fs.accessSync(path.join(root, stimulus.getFilepath()));
      seen.files.push(stimulus.getFilepath());
    }
    const isTrial = config.id.startsWith("trial");
    const isRight = !isTrial || trials < Number(right);
    trials += isTrial ? 1 : 0;
    page.time = 2500;
    if (config.type === "paired_comparison") {
      const first = Math.random() < 0.5;
      page.mushraAudioControl = { getReferenceIndexOfConditions: () => (first ? 0 : 1) };
      page.choice = first === isRight ? "a" : "b";
    } else {
      page.ratings = ["sound-b", "reference", "sound-a"].map((name) => ({ name, value: name === (isRight ? "sound-a" : "sound-b") ? "80" : "40" }));
    }
    page.store();
  }
  if (config.type === "finish") {
    seen.finish = { showResults: config.showResults, writeResults: config.writeResults, questionnaire: config.questionnaire };
    page.storeParticipantData();
  }
}
console.log(JSON.stringify({ config: context.config, seen, session }));
