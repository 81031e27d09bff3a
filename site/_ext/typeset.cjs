// Formulas to HTML: reads one JSON request a line, answers one JSON line to each.
//   {"tex": "\\sqrt{d_k}", "display": false}   ->   {"html": "..."} or {"error": "..."}
//   {"fonts": "address of MathJax's fonts"}    ->   {"css": "the rules used so far"}
const [folder] = process.argv.slice(2);
const { init } = require(`${folder}/node-main.js`);
const lines = require("readline").createInterface({ input: process.stdin });

init({
  loader: { load: ["input/tex-full", "output/chtml", "a11y/assistive-mml"] },
  tex: { formatError: (_, error) => { throw error; } },
  // The page's font is not known here: the style sheet sets the size.
  chtml: { matchFontHeight: false, fontURL: "FONTS" },
}).then((MathJax) => {
  const { adaptor } = MathJax.startup;

  function answer({ tex, display, fonts }) {
    if (fonts) {
      const css = adaptor.textContent(MathJax.chtmlStylesheet());
      return { css: css.replaceAll("FONTS", fonts) };
    }
    try {
      return { html: adaptor.outerHTML(MathJax.tex2chtml(tex, { display })) };
    } catch (error) {
      return { error: error.message };
    }
  }

  lines.on("line", (line) => console.log(JSON.stringify(answer(JSON.parse(line)))));
});
