// Elements, found and made. Text goes in as text only: names come from devices.

/** Return the element of that id. */
export const byId = (id) => document.getElementById(id);

/** Make an element that holds text; `more` are attributes. */
export function make(tag, text = "", more = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(more)) element.setAttribute(name, value);
  return element;
}

/** Set text where it differs: an untouched live region is not read out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
