// Runs before the first paint, so that neither theme nor language flashes. The same rules are in
// src/lib/settings.ts, which takes over once the page runs.
(function () {
  var settings = {};
  try {
    settings = JSON.parse(localStorage.getItem('edalab.settings') || '{}') || {};
  } catch {
    // Unreadable settings are no settings.
  }
  var dark = settings.theme === 'dark' || (settings.theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  var language = settings.language || (/^fr/i.test(navigator.language) ? 'fr' : 'en');
  document.documentElement.lang = language === 'fr' ? 'fr' : 'en';
})();
