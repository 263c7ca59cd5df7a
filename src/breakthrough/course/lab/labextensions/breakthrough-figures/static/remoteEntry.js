/* JupyterLab 4 draws a PNG without the `alt` of its metadata. This brings it into the page: for kept outputs and new ones.
   Written as webpack's containers are, so that nothing has to be built. */
(function () {
  "use strict";
  const TYPES = ["image/png", "image/jpeg"];
  let scope;

  async function shared(name) {
    const versions = scope[name];
    const entry = versions[Object.keys(versions).sort().pop()];
    return (await entry.get())();
  }

  function describe(node, model, type) {
    const told = (model.metadata[type] || {}).alt || model.metadata.alt;
    const plain = model.data["text/plain"];
    const text = told || (typeof plain === "string" && !plain.startsWith("<") ? plain : "");
    for (const image of node.querySelectorAll("img")) {
      if (text) {
        image.alt = text;
      }
    }
  }

  function wrapped(factory, type) {
    return {
      ...factory,
      createRenderer: options => {
        const renderer = factory.createRenderer(options);
        const render = renderer.renderModel.bind(renderer);
        renderer.renderModel = async model => {
          await render(model);
          describe(renderer.node, model, type);
        };
        return renderer;
      }
    };
  }

  async function plugin() {
    const { IRenderMimeRegistry } = await shared("@jupyterlab/rendermime");
    return {
      id: "breakthrough-figures:alt",
      description: "Alternative text of figures, from their metadata",
      autoStart: true,
      requires: [IRenderMimeRegistry],
      activate: (app, registry) => {
        for (const type of TYPES) {
          const factory = registry.getFactory(type);
          if (factory) {
            registry.addFactory(wrapped(factory, type), factory.defaultRank);
          }
        }
      }
    };
  }

  const container = {
    init: given => {
      scope = given;
    },
    get: async name => {
      if (name !== "./extension") {
        throw new Error(`expected ./extension, got ${name}`);
      }
      const made = await plugin();
      return () => ({ __esModule: true, default: made });
    }
  };
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["breakthrough-figures"] = container;
})();
