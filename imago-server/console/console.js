// The console does what any client of the API can do. Texts become text nodes, whatever they say: nothing here writes markup.

const find = (selector, within = document) => within.querySelector(selector);
const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const count = (number, noun) => `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Terms with what is said of them; those of which nothing is said are left out. */
function facts(said) {
  const known = said.filter(([, text]) => (text ?? "") !== "");
  return known.flatMap(([term, text]) => [make("dt", {}, term), make("dd", { className: term.toLowerCase() }, String(text))]);
}

function statusTag(status) {
  const tag = make("span", { className: "status" }, status);
  tag.dataset.status = status;
  return tag;
}

const labelTexts = (labels) => Object.entries(labels).map((label) => label.join(":"));
const timeText = (time) => time && new Date(time).toLocaleString();

// Requests

/** What is on the page now. Leaving it ends the requests that only read for it. */
let visit = new AbortController();

/** An error answer, or with status 0 none at all. */
class Problem extends Error {
  constructor(status, detail, errors = [], headers = new Headers()) {
    super(detail);
    Object.assign(this, { status, errors, headers });
  }
}

async function call(method, path, { body, type, signal } = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(type && { "Content-Type": type }) };
  const answer = await fetch(`api/v1/${path}`, { method, headers, body, signal }).catch((error) => {
    throw signal?.aborted ? error : new Problem(0, `no answer came from the server: ${error.message}`);
  });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, problem.detail ?? answer.statusText, problem.errors, answer.headers);
}

const ask = async (...request) => (await call(...request)).json();

// What went wrong

function clearProblem() {
  find("#problem").hidden = true;
  for (const note of findAll(".field > .error")) note.remove();
  for (const input of findAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}

function mark(field, text) {
  const input = find("input, select, textarea", field);
  const id = `error-${findAll(".field > .error").length}`;
  field.append(make("p", { className: "error", id }, text));
  const notes = findAll(".error", field).map((note) => note.id);
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", notes.join(" "));
}

/** Puts an error beside the field that its pointer leads to; false if there is none on this page. */
function place({ pointer, detail }) {
  let within = find("section:not([hidden])");
  let [, name, ...rest] = pointer.split("/");
  if (name === "actions") {
    within = find("#actions").children[rest[0]];
    [, name, ...rest] = rest;
  }
  const field = within && name && find(`[data-field="${CSS.escape(name)}"]`, within);
  if (!field) return false;
  const [part] = rest;
  const which = part === undefined ? "" : /^\d+$/.test(part) ? `number ${Number(part) + 1}: ` : `${part}: `;
  mark(field, which + detail);
  return true;
}

function showProblem(error) {
  if (error.name === "AbortError") return;
  clearProblem();
  const isRefused = error.status === 401;
  const advice = { 401: "The server wants a token that it knows.", 403: "The token may not do this." }[error.status];
  const elsewhere = (error.errors ?? []).filter((one) => !place(one));
  const later = error.headers?.get("Retry-After");
  const request = error.headers?.get("X-Request-Id");
  const box = find("#problem");
  box.textContent = [
    advice,
    error.status ? `${error.status}: ${error.message}` : error.message,
    ...elsewhere.map(({ pointer, detail }) => `${pointer}: ${detail}`),
    later && `Try again in ${count(Number(later), "second")}.`,
    request && `Request ${request}`,
  ].filter(Boolean).join("\n");
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
  if (isRefused) find("#token").select();
  (isRefused ? find("#token") : find("[aria-invalid]"))?.focus();
}

/** Does what was asked for by `event` on the element: once at a time, and with what goes wrong on the page. */
function on(event, selector, work) {
  const element = find(selector);
  element.addEventListener(event, async (details) => {
    details.preventDefault();
    if (element.ariaBusy === "true") return;
    element.ariaBusy = "true";
    clearProblem();
    await work(details).catch(showProblem);
    element.ariaBusy = "false";
    // The focus of a button that is gone would be nowhere.
    if (element.hidden) find("section:not([hidden]) h1").focus();
  });
}

// Submit

function addAction() {
  find("#actions").append(find("#action-template").content.cloneNode(true));
  const action = find("#actions").lastElementChild;
  find(".remove-action", action).addEventListener("click", () => {
    action.remove();
    numberActions();
    find("#add-action").focus();
  });
  numberActions();
  return action;
}

function numberActions() {
  const actions = [...find("#actions").children];
  actions.forEach((action, index) => {
    find("legend", action).textContent = `Action ${index + 1}`;
    find(".remove-action", action).hidden = actions.length === 1;
  });
}

/** The form as the API wants it. What is wrong with it, the server says. */
function submission() {
  const actions = [...find("#actions").children].map((action) => {
    const value = (name) => find(`[name="${name}"]`, action).value;
    return {
      infile: value("infile"),
      outfile: value("outfile"),
      operations: lines(value("operations")),
      ...(value("mimetype") && { mimetype: value("mimetype") }),
      ...(value("fidelity") && { fidelity: value("fidelity") }),
    };
  });
  const { priority, labels } = find("#submit-form").elements;
  const number = Number(priority.value);
  const pairs = lines(labels.value).map((line) => {
    const [name, ...value] = line.split(":");
    return [name, value.length ? value.join(":") : null];
  });
  return {
    actions,
    ...(priority.value && { priority: Number.isNaN(number) ? priority.value : number }),
    labels: Object.fromEntries(pairs),
  };
}

function showPlan(actions) {
  const planned = actions.map(({ outfile, format, engine, steps }) =>
    make("li", {}, `${outfile}: ${format}, by ${engine}`, make("pre", {}, steps.join("\n") || "(no operations)")));
  find("#plan").replaceChildren(make("p", {}, "This can run. Nothing is queued."), make("ol", {}, ...planned));
  find("#plan").hidden = false;
}

find("#add-action").addEventListener("click", () => find("input", addAction()).focus());
on("submit", "#submit-form", async ({ submitter }) => {
  find("#plan").hidden = true;
  const isCheck = submitter?.value === "check";
  const request = { body: JSON.stringify(submission()), type: "application/json" };
  const answer = await ask("POST", isCheck ? "work?dry_run=true" : "work", request);
  if (isCheck) showPlan(answer.actions);
  else go(`#job/${answer.id}`);
});

// Jobs

function jobRow(job) {
  const cells = [
    make("a", { href: `#job/${job.id}` }, make("code", {}, job.id)),
    statusTag(job.status),
    make("progress", { max: 1, value: job.progress, ariaLabel: "Progress" }),
    make("time", { dateTime: job.created }, timeText(job.created)),
    labelTexts(job.labels).join(", "),
  ];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

async function listJobs(filter, cursor) {
  const query = new URLSearchParams(filter);
  query.set("limit", "20");
  if (cursor) query.set("cursor", cursor);
  const { work, next } = await ask("GET", `work?${query}`, { signal: visit.signal });
  find("#job-rows").append(...work.map(jobRow));
  find("#no-jobs").hidden = find("#job-rows").childElementCount > 0;
  find("#more-jobs").hidden = !next;
  find("#more-jobs").value = next ?? "";
}

function jobsFilter() {
  const filled = [...new FormData(find("#jobs-form"))].filter(([, value]) => value);
  return new URLSearchParams(filled);
}

async function showJobs(rest) {
  const asked = new URLSearchParams(rest);
  for (const input of findAll("[name]", find("#jobs-form"))) input.value = asked.get(input.name) ?? "";
  find("#job-rows").replaceChildren();
  find("#more-jobs").hidden = find("#no-jobs").hidden = true;
  await listJobs(jobsFilter());
}

on("submit", "#jobs-form", async () => go(`#jobs?${jobsFilter()}`));
on("click", "#more-jobs", () => listJobs(jobsFilter(), find("#more-jobs").value));

// A job

const jobPath = () => `work/${encodeURIComponent(find("#job-id").textContent)}`;

function actionItem(action) {
  const { result = {} } = action;
  const { failure, milliseconds } = result;
  const took = Object.entries(milliseconds ?? {}).map(([stage, time]) => `${stage} ${time} ms`);
  const size = result.format && `${result.format}, ${result.width} × ${result.height}, ${count(result.bytes, "byte")}`;
  return make("li", {}, statusTag(action.status), make("dl", {}, ...facts([
    ["Error", action.error],
    ["Advice", failure?.hint],
    ["From", action.infile],
    ["To", result.files?.join("\n") ?? action.outfile],
    ["Media type", action.mimetype],
    ["Operations", action.operations.join("\n")],
    ["Output", action.output],
    ["Result", size && (result.frames > 1 ? `${size}, ${count(result.frames, "frame")}` : size)],
    ["Engine", result.engine],
    ["Took", took.join(", ")],
    ["Cache", result.cache],
    ["Attempts", result.attempts],
  ])));
}

function showDocument(job) {
  find("#job-status").replaceChildren(statusTag(job.status));
  find("#job-progress").value = job.progress;
  find("#job-progress-text").textContent = `${Math.floor(100 * job.progress)} %`;
  find("#cancel-job").hidden = Boolean(job.finished);
  find("#delete-job").hidden = !job.finished;
  find("#retry-job").hidden = !job.finished || job.status === "done";
  find("#job-facts").replaceChildren(...facts([
    ["Created", timeText(job.created)],
    ["Started", timeText(job.started)],
    ["Finished", timeText(job.finished)],
    ["Priority", job.priority],
    ["Labels", labelTexts(job.labels).join("\n")],
  ]));
  find("#job-actions").replaceChildren(...job.actions.map(actionItem));
  find("#job-document").textContent = JSON.stringify(job, null, 2);
}

/** Shows a job until it has finished, through restarts of the server too. */
async function follow() {
  const { signal } = visit;
  let [shown, seconds] = ["", 0];
  for (;;) {
    try {
      const text = await (await call("GET", `${jobPath()}?timeout=${seconds}`, { signal })).text();
      if (seconds === 0) clearProblem();
      const job = JSON.parse(text);
      // The server answers at the end or when the time is up: soon while there is progress to show, seldom while there is none.
      seconds = text === shown ? Math.min(2 * seconds, 30) : 1;
      if (text !== shown) showDocument(job);
      shown = text;
      if (job.finished) return;
      await pause(200);
    } catch (error) {
      if (error.status !== 0 && error.status !== 503) throw error;
      showProblem(error);
      [shown, seconds] = ["", 0];
      await pause(2000);
    }
  }
}

async function showJob(id) {
  find("#job-id").textContent = id;
  for (const shown of ["#job-status", "#job-progress-text", "#job-facts", "#job-actions", "#job-document"]) find(shown).replaceChildren();
  for (const button of findAll("[data-view=job] button")) button.hidden = true;
  find("#job-progress").value = 0;
  await follow();
}

async function removeJob() {
  const answer = await call("DELETE", jobPath());
  // A job that finished just before it was to be canceled is deleted by the same request.
  if (answer.status === 204) go("#jobs");
  else route();
}

on("click", "#cancel-job", removeJob);
on("click", "#delete-job", async () => confirm("Delete the record of this job? Stored results stay.") && removeJob());
on("click", "#retry-job", async () => {
  await call("POST", `${jobPath()}/retry`);
  route();
});

// Try

function showIdentity(identity) {
  const text = (value) => (value instanceof Object ? Object.values(value).join(" ") : value);
  find("#identity").replaceChildren(make("dl", {}, ...facts(Object.entries(identity).map(([name, value]) => [name, text(value)]))));
  find("#identity").hidden = false;
}

async function showPicture(blob, name) {
  const image = find("#picture-image");
  const link = find("#picture-link");
  URL.revokeObjectURL(link.href);
  link.href = image.src = URL.createObjectURL(blob);
  link.download = `${name.replace(/\.[^.]*$/, "")}.${blob.type.replace(/.*\/(x-)?|\+.*/g, "")}`;
  find("#picture").hidden = image.hidden = false;
  const size = await image.decode().then(() => `${image.naturalWidth} × ${image.naturalHeight}`, () => undefined);
  image.hidden = !size;
  find("#picture-facts").textContent = `${blob.type}, ${size ?? "which this browser can't show"}, ${count(blob.size, "byte")}`;
}

on("submit", "#try-form", async () => {
  find("#identity").hidden = find("#picture").hidden = true;
  const { image, operation, format } = find("#try-form").elements;
  const [body] = image.files;
  if (!body) throw new Problem(0, "There is no image yet.", [{ pointer: "/image", detail: "choose one" }]);
  const type = body.type.startsWith("image/") ? body.type : "application/octet-stream";
  showIdentity(await ask("POST", "identify", { body, type }));
  const query = new URLSearchParams(lines(operation.value).map((line) => ["operation", line]));
  if (format.value) query.set("format", format.value);
  const answer = await call("POST", `convert?${query}`, { body, type });
  await showPicture(await answer.blob(), body.name);
});

// Token

find("#token").value = sessionStorage.getItem("token") ?? "";
on("submit", "#token-form", async () => {
  const token = find("#token").value.trim();
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
  route();
});

// Which view is shown

const nothing = async () => {};
const views = { submit: nothing, jobs: showJobs, job: showJob, try: nothing };

/** Shows what the address names: `#submit`, `#jobs?status=…&label=…`, `#job/ID` or `#try`. */
function route() {
  visit.abort();
  visit = new AbortController();
  clearProblem();
  const [, name, rest] = location.hash.match(/^#(submit|jobs|job|try)(?:[/?](.*))?$/) ?? [null, "submit", ""];
  const before = find("section:not([hidden])");
  for (const section of findAll("section")) section.hidden = section.dataset.view !== name;
  const section = find("section:not([hidden])");
  for (const link of findAll("nav a")) link.ariaCurrent = link.hash === `#${name === "job" ? "jobs" : name}` ? "page" : null;
  document.title = `${find("h1", section).textContent.trim()} – Imago`;
  if (before && before !== section) find("h1", section).focus();
  views[name](rest ?? "").catch(showProblem);
}

function go(hash) {
  if (location.hash === hash) route();
  else location.hash = hash;
}

// Without an icon, browsers ask for one that is not there. The policy allows no `data:`.
const icon = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path fill="#0b5cad" d="M0 0h8v8H0z"/><path fill="#fff" d="M1 7l2-4 1.5 2L6 2.5 7 7z"/></svg>';
document.head.append(make("link", { rel: "icon", href: URL.createObjectURL(new Blob([icon], { type: "image/svg+xml" })) }));

addAction();
addEventListener("hashchange", route);
route();
