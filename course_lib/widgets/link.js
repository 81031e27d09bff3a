// A widget's state in the page's address, as ?name.trait=value, so that a link can lead to
// it. On the course's own pages only: in Jupyter and Colab the address is not ours.

const PAUSE_BEFORE_ADDRESS_MS = 300; // browsers limit how often it may change
const SHOWN_MS = 2500; // how long "Link copied" stays

/** A value as text: yes is 1, no is 0, lists have commas, rows have semicolons. */
function asText(x) {
  if (Array.isArray(x)) return x.map(asText).join(Array.isArray(x[0]) ? ";" : ",");
  return String(typeof x === "boolean" ? Number(x) : x);
}

/** What a text says, as a value of the kind and shape of `like`; else undefined. */
function fromText(text, like) {
  if (Array.isArray(like)) {
    const parts = text.split(Array.isArray(like[0]) ? ";" : ",");
    if (parts.length !== like.length) return undefined;
    const all = parts.map((part, i) => fromText(part, like[i]));
    return all.includes(undefined) ? undefined : all;
  }
  if (typeof like === "string") return text;
  if (typeof like === "boolean") return { 0: false, 1: true }[text];
  return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text) ? Number(text) : undefined;
}

/** "name", or "name2" for the second widget of that name on the page, and so on. */
function nameOnPage(place, name) {
  const all = [...document.querySelectorAll(`.course-static[data-name="${name}"]`)];
  const i = all.findIndex((each) => place.contains(each));
  return i > 0 ? name + (i + 1) : name;
}

/** Ties traits of the model to the address; null where the address is not ours.
 *
 * `linked` has a function for each trait: whether it may take a value, given all that
 * are asked for. `apply` sets them. What differs from the start is in the address.
 */
function linkState(model, el, name, linked, apply) {
  const place = el.closest(".course-place");
  if (!place) return null;
  const prefix = `${nameOnPage(place, name)}.`;
  const traits = Object.keys(linked);
  const now = () => Object.fromEntries(traits.map((trait) => [trait, model.get(trait)]));
  const start = now();
  let timer;

  function address() {
    const others = location.search.slice(1).split("&").filter(
      (part) => part && !traits.some((trait) => part.startsWith(`${prefix}${trait}=`)));
    const ours = Object.entries(now())
      .map(([trait, x]) => [trait, asText(x)])
      .filter(([trait, text]) => text !== asText(start[trait]))
      .map(([trait, text]) =>
        `${prefix}${trait}=${encodeURIComponent(text).replace(/%2C/g, ",").replace(/%3B/g, ";")}`);
    const query = [...others, ...ours].join("&");
    return location.pathname + (query && `?${query}`) + location.hash;
  }
  function write() {
    clearTimeout(timer);
    history.replaceState(history.state, "", address());
    return location.href;
  }
  function read() {
    const given = new URLSearchParams(location.search);
    const asked = { ...start };
    for (const trait of traits) {
      const x = fromText(given.get(prefix + trait) ?? "", start[trait]);
      if (given.has(prefix + trait) && x !== undefined && linked[trait](x, asked)) {
        asked[trait] = x;
      }
    }
    apply(asked);
  }
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(write, PAUSE_BEFORE_ADDRESS_MS);
  };
  const stop = () => {
    clearTimeout(timer);
    removeEventListener("popstate", read);
  };
  addEventListener("popstate", read); // Back and Forward show what the address says
  return { read, write, changed, stop };
}

/** The button that copies the link; where that is not allowed, the link to copy. */
function copyLink(link) {
  const said = make("span", { role: "status" });
  const field = make("input", { type: "text", readOnly: true, hidden: true });
  field.setAttribute("aria-label", "Link to what is shown");
  const onclick = async () => {
    field.value = link.write();
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Link copied";
    } catch {
      field.hidden = false;
      field.select();
      said.textContent = "Copy the link from the field";
    }
    setTimeout(() => (said.textContent = ""), SHOWN_MS);
  };
  const button = make("button", { type: "button", onclick }, "Copy link to this view");
  return make("div", { className: "course-link" }, button, said, field);
}
