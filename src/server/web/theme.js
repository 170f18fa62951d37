// Runs before the first paint, so that a chosen theme doesn't flash. Everything else is in app.js.
(() => {
  try {
    const theme = localStorage.getItem('tern.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // No storage: the system's theme.
  }
})();
