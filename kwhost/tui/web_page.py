"""The page that a browser shows: a terminal, drawn by the script of textual-serve. Pure.

textual-serve has a page of its own, which asks a font of another site, needs scripts within it to be allowed,
and leaves the keyboard to nobody until the terminal is clicked on.
"""

import base64
import hashlib
from html import escape

__all__ = ["POLICY", "page"]

# textual-serve's script marks the page with -loaded, once it can write, and -closed.
_SCRIPT = """
addEventListener("load", () => {
  const again = document.querySelector("button");
  const focus = () => {
    const marks = document.body.classList;
    if (marks.contains("-closed")) again.focus();
    else if (marks.contains("-loaded")) document.querySelector(".xterm-helper-textarea").focus();
  };
  new MutationObserver(focus).observe(document.body, { attributeFilter: ["class"] });
  again.addEventListener("click", () => location.reload());
});
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>kwhost</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{static}css/xterm.css">
<style>
body {{ background: #12161c; color: #d7dce2; font: 16px monospace; }}
#ended, #start {{ display: none; }}
#ended {{ position: absolute; z-index: 10; inset: 40% 0 auto; text-align: center; }}
body.-closed #ended {{ display: block; }}
body.-closed .textual-terminal {{ opacity: 0.2; }}
</style>
<script src="{static}js/textual.js"></script>
<script>{script}</script>
</head>
<body>
<div id="ended">This page has ended; instances go on. <button type="button">Begin again</button></div>
<div id="start"></div>
<div id="terminal" class="textual-terminal" data-font-size="16"
     data-session-websocket-url="{websocket}"></div>
</body>
</html>
"""
_DIGEST = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()

# Of scripts there are textual-serve's and the one above. It makes styles as it draws.
POLICY = (
    f"default-src 'none'; script-src 'self' 'sha256-{_DIGEST}'; style-src 'self' 'unsafe-inline'; "
    "img-src data:; connect-src {websocket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(static: str, websocket: str) -> str:
    """`static` begins the addresses of textual-serve's files; `websocket` is where the terminal is."""
    return _PAGE.format(static=escape(static), websocket=escape(websocket), script=_SCRIPT)
