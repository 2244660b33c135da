// Search in a site that is read from a folder.
//
// The theme searches in a worker, and browsers start none of a file. Here a worker is a hidden frame,
// which runs the same script: what is posted goes to its window, what it posts goes to the page.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      this.ready = new Promise((done, failed) => {
        frame.onload = () => {
          this.inner = frame.contentWindow;
          // The worker's own words for talking to whoever started it.
          this.inner.postMessage = (data) =>
            this.dispatchEvent(new MessageEvent("message", { data }));
          const script = frame.contentDocument.createElement("script");
          script.src = new URL(url, document.baseURI);
          script.onload = done;
          script.onerror = failed;
          frame.contentDocument.body.append(script);
        };
      });
      frame.srcdoc = "<!doctype html><title>search</title>";
      document.documentElement.append(frame);
    }

    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {}
  };
}
