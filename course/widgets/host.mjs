// JupyterLab's side of every widget: anywidget gives a model, the widget wants (el, state, ask).
// The widget's own module arrives as text, in the model's `module`, and is the file that the site loads.

async function load(source) {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

export default {
  async render({ model, el }) {
    const { render } = await load(model.get("module"));
    const waiting = new Map(); // id of a question → how to settle its promise
    const mine = Math.random().toString(36).slice(2); // a second view of the same widget has another

    const ask = (message) =>
      new Promise((resolve, reject) => {
        const id = `${mine}-${waiting.size}-${Date.now()}`;
        waiting.set(id, { resolve, reject });
        model.send({ id, message });
      });

    const answered = ({ id, error }) => {
      const promise = waiting.get(id);
      if (!promise) return; // another view of the same widget asked
      waiting.delete(id);
      error ? promise.reject(new Error(error)) : promise.resolve(model.get("state"));
    };

    const state = model.get("state");
    const view = render(el, state, state.live ? ask : null);
    const changed = () => view.update(model.get("state"));
    model.on("msg:custom", answered);
    model.on("change:state", changed);
    return () => {
      model.off("msg:custom", answered);
      model.off("change:state", changed);
      view.destroy?.();
    };
  },
};
