// The few lines that make building nodes short. Text is only ever set as text.

const SVG = 'http://www.w3.org/2000/svg';

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children);
  return node;
}

/** An HTML element. Attributes that are functions are event listeners; children are nodes or text. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

export function byId(id) {
  return document.getElementById(id);
}

/** Storage that may be full, forbidden or from another version: never a reason to stop. */
export const store = {
  get(key, area = localArea()) {
    try {
      return area.getItem(key);
    } catch {
      return null;
    }
  },
  /** False: it was not kept. null removes. */
  set(key, value, area = localArea()) {
    try {
      if (value === null) area.removeItem(key);
      else area.setItem(key, value);
      return true;
    } catch {
      return false;
    }
  },
};

function localArea() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

export function sessionArea() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

/** Whether the text is in the clipboard now. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS, and elsewhere than on the loopback, there is no clipboard object.
  }
  const focused = document.activeElement;
  const area = element('textarea', {class: 'sr', 'aria-hidden': 'true', tabindex: '-1'});
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  focused?.focus();
  return done;
}
