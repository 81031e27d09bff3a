// Loaded between require.js and embed-amd.js: every widget module comes from this
// folder, never from another host.
(function () {
  const script = document.currentScript;
  const folder = script.src.replace(/[^/]*$/, "");
  script.setAttribute("data-jupyter-widgets-cdn", folder);
  window.requirejs.config({ baseUrl: folder });
})();
