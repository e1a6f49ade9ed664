// Shows the server's view, which it sends again after each change, and sends the commands of a person.
// Text from the server only ever becomes text: nothing here parses HTML.

const TOKEN = document.querySelector('meta[name="token"]').content;
const RETRY_MS = 1000;
const HIDDEN = "••••••••";
const at = (id) => document.getElementById(id);

async function send(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Local-Keeper-Token": TOKEN },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) {
    const error = new Error(answer.error);
    error.stale = response.status === 403;
    throw error;
  }
  return answer;
}

/** Run a command; a mistake becomes a message. Returns whether it worked. */
async function run(command, done) {
  try {
    await command();
    at("message").textContent = "";
    if (done) announce(done);
    return true;
  } catch (error) {
    at("message").textContent = error.message;
    return false;
  }
}

function announce(text) {
  at("announcement").textContent = text;
}

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

const button = (text, label, onclick) => element("button", { type: "button", textContent: text, "aria-label": label, onclick });

// Records

const cards = new Map();

class Card {
  constructor() {
    this.details = element("details");
    this.item = element("li", {}, this.details);
    this.values = null;
    this.editing = false;
    this.shown = "";
  }

  update(record) {
    const text = JSON.stringify(record);
    if (text === this.shown || this.editing) return;
    const changed = this.record && this.record.revision !== record.revision;
    this.record = record;
    this.shown = text;
    this.render();
    if (changed && this.values) this.show();
  }

  async show() {
    await run(async () => {
      this.values = await send("/api/values", { record: this.record.uid });
    });
    this.render();
  }

  render() {
    const { record } = this;
    const focused = this.item.contains(document.activeElement) && document.activeElement.dataset.key;
    const where = record.folders.filter(Boolean).join(", ");
    const summary = element("summary", {}, element("h3", { textContent: record.title || record.uid }), " ");
    summary.dataset.key = "summary";
    summary.append(element("span", { className: "quiet", textContent: [record.type, where].filter(Boolean).join(" · ") }));
    const body = element("div", { className: "body" });
    for (const field of record.fields) body.append(this.row(field));
    for (const file of record.files) {
      const size = element("span", { className: "quiet", textContent: `file, ${file.size} bytes` });
      body.append(element("div", { className: "row" }, element("span", { className: "name" }, element("strong", { textContent: file.name }), " ", size)));
    }
    body.append(this.actions());
    this.details.replaceChildren(summary, body);
    if (focused) this.item.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  actions() {
    const { record } = this;
    const toggle = element("button", { type: "button", textContent: this.values ? "Hide values" : "Show values" });
    toggle.setAttribute("aria-label", `${toggle.textContent} of ${record.title}`);
    toggle.dataset.key = "values";
    toggle.onclick = () => {
      if (!this.values) return this.show();
      this.values = null;
      return this.render();
    };
    const actions = element("div", { className: "actions" }, toggle);
    if (record.renewable) {
      const renew = () => send("/api/do", { do: "renew", with: { record: record.uid } });
      const made = button("Renew certificate", `Renew the certificate of ${record.title}`, () =>
        run(renew, `The certificate of ${record.title} is new.`),
      );
      made.dataset.key = "renew";
      actions.append(made);
    }
    actions.append(element("span", { className: "quiet", textContent: `revision ${record.revision} · ${record.uid}` }));
    return actions;
  }

  row(field) {
    const name = element("span", { className: "name" }, element("strong", { textContent: field.name }), " ");
    if (field.type !== field.name) name.append(element("span", { className: "quiet", textContent: field.type }));
    const rotate = button("Rotate", `Rotate ${field.name} of ${this.record.title}`, () => this.edit(field, row, rotate));
    rotate.dataset.key = `${field.section} ${field.index}`;
    const row = element("div", { className: "row" }, name, rotate);
    row.append(element("span", { className: "value", textContent: this.text(field) }));
    return row;
  }

  text(field) {
    if (field.empty) return "(empty)";
    if (!this.values) return HIDDEN;
    const value = this.values[field.section][field.index];
    return field.text ? value[0] : JSON.stringify(value, null, 1);
  }

  async edit(field, row, rotate) {
    if (this.editing) return;
    this.editing = true;
    let current = "";
    if (!field.text) {
      const found = await run(async () => {
        const values = await send("/api/values", { record: this.record.uid });
        current = JSON.stringify(values[field.section][field.index], null, 1);
      });
      if (!found) return this.close(rotate.dataset.key);
    }
    const input = element(field.text ? "input" : "textarea", { value: field.text ? random() : current, spellcheck: false });
    input.autocomplete = "off";
    const hint = field.text ? "New value (a random one is suggested)" : "New values, a JSON list";
    const save = element("button", { type: "submit", className: "primary", textContent: "Save" });
    const cancel = button("Cancel", "Cancel the rotation", () => this.close(rotate.dataset.key));
    const form = element("form", { className: "edit" }, element("label", {}, hint, input), save, cancel);
    form.onkeydown = (event) => {
      if (event.key === "Escape") this.close(rotate.dataset.key);
    };
    form.onsubmit = async (event) => {
      event.preventDefault();
      const { uid, revision, title } = this.record;
      const place = { record: uid, section: field.section, index: field.index, revision };
      const change = async () => {
        const values = field.text ? [input.value] : parsed(input.value);
        await send("/api/change", { ...place, values });
      };
      if (await run(change, `${field.name} of ${title} is rotated.`)) this.close(rotate.dataset.key);
    };
    rotate.hidden = true;
    row.append(form);
    input.focus();
    input.select();
  }

  close(key) {
    this.editing = false;
    this.render();
    this.item.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
    this.update(latest.get(this.record.uid) ?? this.record);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('The new values are not JSON; write a list such as ["a", "b"].');
  }
}

function random() {
  const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  return Array.from(crypto.getRandomValues(new Uint32Array(20)), (number) => letters[number % letters.length]).join("");
}

let latest = new Map();

function showRecords(view) {
  latest = new Map(view.records.map((record) => [record.uid, record]));
  const more = view.moreRecords ? `, and ${view.moreRecords} more` : "";
  at("records-count").textContent = `${view.records.length}${more} in ${view.application}`;
  for (const [uid, card] of cards) {
    if (!latest.has(uid)) {
      card.item.remove();
      cards.delete(uid);
    }
  }
  for (const record of view.records) {
    if (!cards.has(record.uid)) {
      cards.set(record.uid, new Card());
      at("records-list").append(cards.get(record.uid).item);
    }
    cards.get(record.uid).update(record);
  }
}

// Faults

let kinds = [];

function offerChoices({ faults, operations }) {
  if (kinds.length) return;
  kinds = faults;
  at("fault-kind").replaceChildren(...faults.map(({ name }) => new Option(name)));
  at("fault-operation").replaceChildren(...operations.map((name) => new Option(name === "*" ? "any" : name, name)));
  chooseKind();
}

function chooseKind() {
  const kind = kinds.find(({ name }) => name === at("fault-kind").value);
  at("fault-description").textContent = kind.description;
  at("fault-argument-field").hidden = !kind.argument;
  at("fault-argument").disabled = !kind.argument;
  at("fault-argument-label").textContent = kind.argument;
  at("fault-argument").value = kind.default;
}

function switchOn(event) {
  event.preventDefault();
  const times = at("fault-times").value;
  const fault = at("fault-kind").value;
  const given = {
    fault,
    arguments: at("fault-argument").disabled ? [] : [Number(at("fault-argument").value)],
    operation: at("fault-operation").value,
    times: times ? Number(times) : null,
  };
  run(() => send("/api/do", { do: "fault", with: given }), `The fault ${fault} is on.`);
}

let shownFaults = "";

function showFaults({ faults, outage }) {
  const text = JSON.stringify([faults, outage]);
  if (text === shownFaults) return;
  shownFaults = text;
  const focused = at("faults-list").contains(document.activeElement);
  at("faults-count").textContent = faults.length || outage ? `${faults.length + (outage ? 1 : 0)} on` : "none is on";
  const items = faults.map((fault) => {
    const what = fault.operation === "*" ? "any request" : fault.operation;
    const left = fault.times === null ? "until switched off" : `${fault.times} left`;
    const after = fault.after ? `, after ${fault.after} more` : "";
    const off = () => send("/api/do", { do: "switch-off", with: { number: fault.number } });
    return faultItem(`${fault.description}: ${what}`, `${left}${after}`, off);
  });
  if (outage) {
    const off = () => send("/api/do", { do: "clear", with: {} });
    items.push(faultItem("outage: every request is answered with 503", `at most ${outage} s left`, off));
  }
  at("faults-list").replaceChildren(...items);
  if (focused) (at("faults-list").querySelector("button") ?? at("fault-kind")).focus();
}

function faultItem(description, left, off) {
  const switchOff = button("Switch off", `Switch off ${description}`, () => run(off, `${description} is off.`));
  const text = element("span", {}, description, " ", element("span", { className: "quiet", textContent: left }));
  return element("li", {}, text, switchOff);
}

// Requests

let newest = null;

function showRequests({ requests, counts }) {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  at("requests-count").textContent = total > requests.length ? `the last ${requests.length} of ${total}` : `${total}`;
  at("requests-empty").hidden = requests.length > 0;
  at("requests-list").closest(".scroll").hidden = requests.length === 0;
  const arrived = newest === null ? [] : requests.filter(({ number }) => number > newest);
  at("requests-list").replaceChildren(...requests.map(requestRow));
  if (arrived.length) announce(arrived.length > 1 ? `${arrived.length} new requests` : `new request: ${summaryOf(arrived[0])}`);
  newest = Math.max(newest ?? 0, ...requests.map(({ number }) => number));
}

const answerOf = ({ status }) => (status === null ? "waiting" : String(status));
const summaryOf = (request) => `${request.operation}, answer ${answerOf(request)}`;

function requestRow(request) {
  const who = [request.device, request.client].filter(Boolean).join(" · ");
  const bad = request.fault || request.status === null || request.status >= 400;
  const time = new Date(request.time * 1000);
  const answer = element("td", {}, element("span", { className: bad ? "badge bad" : "badge", textContent: answerOf(request) }));
  if (request.fault) answer.append(element("span", { className: "quiet", textContent: `fault: ${request.fault}` }));
  return element(
    "tr",
    {},
    element("td", {}, element("time", { dateTime: time.toISOString(), textContent: time.toLocaleTimeString("en-GB") })),
    element("td", {}, request.operation, element("span", { className: "quiet", textContent: who })),
    answer,
  );
}

// Live

function connected(live, text) {
  at("connection").classList.toggle("live", live);
  if (at("connection-text").textContent !== text) at("connection-text").textContent = text;
}

async function follow() {
  for (let seen = ""; ; ) {
    try {
      const answer = await send("/api/view", { seen });
      connected(true, "live");
      if (answer.seen === seen) continue;
      seen = answer.seen;
      offerChoices(answer.view.choices);
      showRecords(answer.view);
      showFaults(answer.view);
      showRequests(answer.view);
    } catch (error) {
      seen = "";
      connected(false, error.stale ? "the server was restarted; reload the page" : "not connected; trying again");
      if (error.stale) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

at("fault-kind").onchange = chooseKind;
at("fault-form").onsubmit = switchOn;
at("requests-list").closest(".scroll").hidden = true;
follow();
