// What labkit.widgets.browse shows: two menus, an image, and the maps of a layer whose units tell what they see.
(() => {
  const start = (root) => {
    const { images, layers, palettes } = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const [imageMenu, layerMenu] = root.querySelectorAll("select");
    const [image, sheet] = root.querySelectorAll("img");
    const [seen, chosen] = root.querySelectorAll(".labkit-box");
    const stage = root.querySelector("[tabindex]");
    const text = root.querySelector("output");
    // A sheet's pixels are colours of a palette: look up the number that each stands for.
    const scales = palettes.map((palette) => new Map(palette.map((color, index) => [color.join(), index / 254])));

    let layer; // of `layers`
    let pixels; // of its sheet, once they are decoded
    let at = [0, 0, 0]; // map, row and column of the chosen unit

    const place = (box, [top, left, height, width], [rows, columns]) => {
      const percent = (part, whole) => `${(100 * part) / whole}%`;
      box.hidden = !height || !width;
      Object.assign(box.style, { top: percent(top, rows), height: percent(height, rows) });
      Object.assign(box.style, { left: percent(left, columns), width: percent(width, columns) });
    };

    const select = (map, row, column) => {
      at = [map, row, column];
      const [height, width] = [layer.rows.length, layer.columns.length];
      const y = Math.floor(map / layer.across) * (height + 1) + row;
      const x = (map % layer.across) * (width + 1) + column;
      place(chosen, [y, x, 1, 1], layer.size);
      const [[top, bottom], [left, right]] = [layer.rows[row], layer.columns[column]];
      const [tall, wide] = [Math.max(0, bottom - top + 1), Math.max(0, right - left + 1)];
      place(seen, [top, left, tall, wide], images.size);
      const color = pixels?.data.slice(4 * (y * pixels.width + x)).slice(0, 3).join();
      const share = scales[layer.scale].get(color);
      const number = (layer.low + share * (layer.high - layer.low)).toFixed(2);
      const scale = `colours from ${layer.low.toFixed(2)} to ${layer.high.toFixed(2)}`;
      const value = share === undefined ? "" : ` ${number} (${scale}).`;
      const unit = height * width > 1 ? `map ${map}, row ${row}, column ${column}` : `unit ${map}`;
      const field = tall && wide ? `${tall} × ${wide} pixels, rows ${top}–${bottom}, columns ${left}–${right}` : "padding only";
      text.value = `${layer.name}, ${unit}:${value} It sees ${field}.`;
    };

    const show = async () => {
      layer = layers[layerMenu.selectedIndex];
      pixels = undefined;
      image.src = images.pictures[imageMenu.selectedIndex];
      image.alt = `The image: ${imageMenu.value}`;
      sheet.src = layer.sheets[imageMenu.selectedIndex];
      sheet.alt = `${layer.count} maps of ${layer.name}, ${layer.rows.length} × ${layer.columns.length} each`;
      const there = at[0] < layer.count && at[1] < layer.rows.length && at[2] < layer.columns.length;
      select(...(there ? at : [0, 0, 0]));
      const picture = new Image();
      picture.src = sheet.src;
      await picture.decode();
      if (picture.src !== sheet.src) return; // another one was chosen in the meantime
      const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight);
      const context = canvas.getContext("2d");
      context.drawImage(picture, 0, 0);
      pixels = context.getImageData(0, 0, canvas.width, canvas.height);
      select(...at);
    };

    const point = ({ clientX, clientY }) => {
      const { left, top, width, height } = sheet.getBoundingClientRect();
      const y = Math.floor(((clientY - top) / height) * layer.size[0]);
      const x = Math.floor(((clientX - left) / width) * layer.size[1]);
      const [tall, wide] = [layer.rows.length + 1, layer.columns.length + 1];
      const map = Math.floor(y / tall) * layer.across + Math.floor(x / wide);
      const [row, column] = [y % tall, x % wide];
      const inside = x >= 0 && x < layer.size[1] && y >= 0 && row < tall - 1 && column < wide - 1;
      if (inside && map < layer.count) select(map, row, column);
    };

    // One unit further; beyond the edge of a map lies the next one on the sheet.
    const step = (down, right) => {
      const [tall, wide] = [layer.rows.length, layer.columns.length];
      const [row, column] = [at[1] + down, at[2] + right];
      let map = at[0];
      if (row < 0 || row >= tall) map += down * layer.across;
      if (column < 0 || column >= wide) map += right;
      if (map >= 0 && map < layer.count) select(map, (row + tall) % tall, (column + wide) % wide);
    };

    const keys = {
      ArrowLeft: () => step(0, -1),
      ArrowRight: () => step(0, 1),
      ArrowUp: () => step(-1, 0),
      ArrowDown: () => step(1, 0),
      PageUp: () => select(Math.max(0, at[0] - 1), at[1], at[2]),
      PageDown: () => select(Math.min(layer.count - 1, at[0] + 1), at[1], at[2]),
      Home: () => select(0, 0, 0),
      End: () => select(layer.count - 1, layer.rows.length - 1, layer.columns.length - 1),
    };
    stage.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey) return;
      keys[event.key]();
      event.preventDefault();
      event.stopPropagation(); // a notebook would go to another cell
    });
    stage.addEventListener("pointermove", point);
    stage.addEventListener("pointerdown", point);
    for (const menu of [imageMenu, layerMenu]) menu.addEventListener("change", show);
    show().catch(console.error);
  };

  for (const root of document.querySelectorAll(".labkit-browse:not([data-started])")) {
    root.dataset.started = "";
    start(root);
  }
})();
