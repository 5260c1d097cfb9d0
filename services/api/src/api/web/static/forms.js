// Small comforts for forms: copying, no double sending, and a look ahead while a schedule is written.

const STILL_TYPING = 350;

function copying(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.querySelector(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
    } catch {
      getSelection().selectAllChildren(source);
      return;
    }
    document.getElementById("announcements").textContent = "Copied.";
    button.classList.add("primary");
    setTimeout(() => button.classList.remove("primary"), 1200);
  });
}

function sendingOnce(form) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
  });
}

function lookingAhead(form) {
  const part = document.getElementById("look-ahead");
  for (const element of form.querySelectorAll("[data-without-script]")) element.remove();
  const zone = form.elements["schedule.timezone"];
  if (form.dataset.fresh && zone.value === "UTC") {
    zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  }
  let waiting = null;
  let asked = null;
  async function look() {
    asked?.abort();
    asked = new AbortController();
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (name.startsWith("schedule.") || ["form_token", "automation"].includes(name)) fields.append(name, value);
    }
    try {
      const answer = await fetch("/automations/preview", { method: "POST", body: fields, signal: asked.signal, headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      part.replaceChildren(...fresh.body.childNodes);
    } catch (error) {
      if (error.name !== "AbortError") part.textContent = "The look ahead is not available right now.";
    }
  }
  const later = (event) => {
    if (!event.target.name?.startsWith("schedule.")) return;
    clearTimeout(waiting);
    waiting = setTimeout(look, STILL_TYPING);
  };
  form.addEventListener("input", later);
  form.addEventListener("change", later);
  if (form.dataset.fresh) look();
}

// Shows what the form would do, by the page's own server, while it is filled in.
function previewing(form) {
  const part = document.getElementById("preview");
  for (const element of form.querySelectorAll("[data-without-script]")) element.remove();
  let waiting = null;
  let asked = null;
  async function show() {
    asked?.abort();
    asked = new AbortController();
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.dataset.preview, { method: "POST", body, signal: asked.signal, headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      part.replaceChildren(...fresh.body.childNodes);
    } catch (error) {
      if (error.name !== "AbortError") part.textContent = "The preview is not available right now.";
    }
  }
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, STILL_TYPING);
  };
  form.addEventListener("input", later);
  form.addEventListener("change", later);
}

// The same form with other fields: what was entered so far is kept.
function lookAgain(form) {
  const look = document.createElement("input");
  look.type = "hidden";
  look.name = "look";
  look.value = "1";
  form.append(look);
  form.submit();
}

export function enhanceForms(root) {
  for (const button of root.querySelectorAll("[data-copy]")) copying(button);
  for (const form of root.querySelectorAll('form[method="post"]')) sendingOnce(form);
  for (const form of root.querySelectorAll("form[data-looks-ahead]")) lookingAhead(form);
  for (const form of root.querySelectorAll("form[data-preview]")) previewing(form);
  for (const select of root.querySelectorAll("select[data-sends-form]")) select.addEventListener("change", () => lookAgain(select.form));
  root.querySelector("[data-focus]")?.focus();
}
addEventListener("pageshow", (event) => {
  // Back from the next page: its form may be sent again.
  if (event.persisted) for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
