"""A headless Chromium for tests, told what to do through a pipe: its own DevTools protocol."""

import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
SECONDS = 60  # to wait for an answer, before a test gives up


class Browser:
    """One page. What the browser reports of it by itself is kept in `events`."""

    def __init__(self, profile):
        self.events, self.number, self.received = [], 0, b""
        theirs_in, self.to_browser = os.pipe()
        self.from_browser, theirs_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4. Those may be ends of the pipes: what
        # is opened after these is neither.
        ends = [os.dup(theirs_in), os.dup(theirs_out)]

        def on_three_and_four():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [
                *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *(
                    "--disable-dev-shm-usage",
                    "--remote-debugging-pipe",
                    f"--user-data-dir={profile}",
                ),
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=on_three_and_four,
            pass_fds=(3, 4),
        )
        for fd in (theirs_in, theirs_out, *ends):
            os.close(fd)
        self.session = None
        try:
            self.attach()
        except BaseException:
            self.close()
            raise

    def attach(self):
        """To its one page."""
        [target] = [
            info for info in self.ask("Target.getTargets")["targetInfos"] if info["type"] == "page"
        ]
        attached = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        """Send a command; return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def receive(self):
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.from_browser], [], [], SECONDS)
            assert ready, "the browser says nothing"
            part = os.read(self.from_browser, 1 << 16)
            assert part, "the browser has ended"
            self.received += part
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)

    def run(self, script):
        """The value of a JavaScript expression; a promise is awaited."""
        found = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition):
        end = time.monotonic() + SECONDS
        while not self.run(condition):
            assert time.monotonic() < end, f"waited in vain for {condition}"
            time.sleep(0.05)

    def size(self, width, height):
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def mouse(self, x, y, *kinds):
        for kind in kinds or ("mouseMoved",):
            pressed = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)

    def press(self, key, **more):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)

    def close(self):
        self.process.terminate()
        self.process.wait()
        os.close(self.to_browser)
        os.close(self.from_browser)
