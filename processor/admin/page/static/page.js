// What the pages do beyond htmx; everything also works without this.
"use strict";

const stale = document.getElementById("stale");

// Who has another window in front does not need news, and nobody's focus is taken away.
document.addEventListener("htmx:beforeRequest", (event) => {
  const focused = document.activeElement;
  const live = event.detail.target;
  if (document.hidden || (focused !== document.body && focused !== live && live.contains(focused))) {
    event.preventDefault();
  }
});

for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failure, () => { stale.hidden = false; });
}
document.addEventListener("htmx:afterSwap", () => { stale.hidden = true; });

// A form is sent once, however often its button is pressed; the server sees to that as well.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) {
    event.preventDefault();
    return;
  }
  event.target.dataset.sent = "yes";
  event.target.setAttribute("aria-busy", "true");
});
// Whoever goes back finds the forms ready again.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  }
});
