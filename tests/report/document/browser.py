"""A page in headless Chromium, driven by its DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

PATIENCE_S = 90

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowRight": 39}


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """One page, and everything that it complains about or asks for."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return what a command of the protocol answers."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self._socket.send(json.dumps(message))
        while True:
            told = self._hear()
            if told.get("id") == number:
                assert "error" not in told, told
                return told["result"]

    def _hear(self) -> dict[str, Any]:
        told = json.loads(self._socket.recv(PATIENCE_S))
        event, params = told.get("method"), told.get("params", {})
        if event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", details).get("description", details))
        elif event == "Runtime.consoleAPICalled":
            self.complaints.append(f"{params['type']}: {params['args']}")
        elif event == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        return told

    def open(self, path: Path, width: int = 1400, height: int = 900, dark: bool = False) -> None:
        """Load a file and wait until it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.loaded()

    def reload(self) -> None:
        """Load the same page anew, as a reader does."""
        self.call("Page.reload")
        self.loaded()

    def loaded(self) -> None:
        """Wait until the next page is there."""
        while self._hear().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        """Return the value of an expression, of a promise once it is kept."""
        told = self.call(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def accessible(self, script: str) -> dict[str, str]:
        """Return role, name and description that aids are told of the element of an expression."""
        found = self.call("Runtime.evaluate", expression=script)["result"]["objectId"]
        nodes = self.call("Accessibility.getPartialAXTree", objectId=found, fetchRelatives=False)
        return _said(nodes["nodes"][0])

    def all_accessible(self) -> list[dict[str, str]]:
        """Return the same of all that aids are told of."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [_said(node) for node in nodes if not node["ignored"]]

    def wait(self, script: str) -> Any:
        """Return the value of an expression as soon as it is true."""
        return self.run(
            "new Promise((tell, fail) => { const start = Date.now(); const look = () => {"
            f"const found = ({script}); if (found) tell(found);"
            f"else if (Date.now() - start > {1000 * PATIENCE_S}) fail(Error('never true'));"
            "else setTimeout(look, 20); }; look(); })"
        )

    def arrive(self, path: str) -> None:
        """Wait until a page at this path is there, which a click has led to."""
        end = time.monotonic() + PATIENCE_S
        while self.run("document.readyState + location.pathname") != f"complete{path}":
            assert time.monotonic() < end, f"{path} never came"
            time.sleep(0.05)

    def middle(self, selector: str) -> tuple[float, float]:
        """Scroll to an element and return where its middle is."""
        x, y = self.run(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            "one.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });"
            "const at = one.getBoundingClientRect();"
            "return [at.x + at.width / 2, at.y + at.height / 2]; })()"
        )
        return x, y

    def hover(self, selector: str) -> None:
        """Point at an element."""
        x, y = self.middle(selector)
        for at in ({"x": 0, "y": 0}, {"x": x, "y": y}):  # from elsewhere: it has to move
            self.call("Input.dispatchMouseEvent", type="mouseMoved", **at)

    def click(self, selector: str) -> None:
        """Press the left button of the mouse on an element."""
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key."""
        code = KEYS[key]
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def pdf(self) -> bytes:
        """Return the page as printed."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def picture(self) -> bytes:
        """Return what is in sight, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])


def _said(node: dict[str, Any]) -> dict[str, str]:
    return {key: node.get(key, {}).get("value", "") for key in ("role", "name", "description")}


@contextmanager
def browsing(program: str, folder: Path) -> Iterator[Page]:
    """Yield a page; ``folder`` holds the browser's own files."""
    from websockets.sync.client import connect

    profile, errors = folder / "profile", folder / "errors"
    profile.mkdir(parents=True)
    arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [program, *arguments], stderr=log, env=os.environ | {"HOME": str(folder)}
        )
    try:
        with connect(_address(process, errors), max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _address(process: "subprocess.Popen[bytes]", errors: Path) -> str:
    """Return where the browser listens, once it says so."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        for line in errors.read_text(errors="replace").splitlines():
            if line.startswith("DevTools listening on "):
                return line.rpartition(" ")[2]
        time.sleep(0.05)
    raise RuntimeError(f"Chromium does not listen:\n{errors.read_text(errors='replace')}")
