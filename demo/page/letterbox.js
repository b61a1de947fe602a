// How a picture of any size becomes the image that a detector sees, and how its boxes come back:
// `keras_hkd.data.batches.Letterbox` for detectors with `antialias=False`, byte for byte. Pillow
// reads each pixel between its four neighbours in double precision and cuts the result off.

const PADDING_GREY = 114;

/** Target pixels per source pixel: the largest scale at which the picture fits. */
export function fitScale(width, height, targetWidth, targetHeight) {
  return Math.min(targetHeight / height, targetWidth / width);
}

/**
 * Draw the letterboxed image: the picture top left, the rest grey.
 *
 * @param {Uint8ClampedArray} rgba pixels of the picture, four bytes each.
 * @param {number} width of the picture in pixels.
 * @param {number} height of the picture in pixels.
 * @param {number} targetWidth of the detector's image.
 * @param {number} targetHeight of the detector's image.
 * @returns {Uint8Array} targetHeight x targetWidth x 3, RGB.
 */
export function letterbox(rgba, width, height, targetWidth, targetHeight) {
  const scale = fitScale(width, height, targetWidth, targetHeight);
  const columns = steps(width, scale);
  const rows = steps(height, scale);
  const image = new Uint8Array(targetWidth * targetHeight * 3).fill(PADDING_GREY);
  for (let y = 0; y < rows.length; y++) {
    const [top, bottom, dy] = rows[y];
    for (let x = 0; x < columns.length; x++) {
      const [left, right, dx] = columns[x];
      for (let channel = 0; channel < 3; channel++) {
        const at = (row, column) => rgba[(row * width + column) * 4 + channel];
        const upper = at(top, left) + (at(top, right) - at(top, left)) * dx;
        const lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * dx;
        image[(y * targetWidth + x) * 3 + channel] = upper + (lower - upper) * dy;
      }
    }
  }
  return image;
}

/**
 * Bring boxes from the detector's image to the picture; leave out those in the padding.
 *
 * @param {number[][]} boxes left, top, right, bottom in pixels of the detector's image.
 * @returns {(number[] | null)[]} the same in pixels of the picture; null for an empty one.
 */
export function toPicture(boxes, scale, width, height) {
  const within = (value, most) => Math.min(Math.max(value / scale, 0), most);
  return boxes.map(([x1, y1, x2, y2]) => {
    const box = [within(x1, width), within(y1, height), within(x2, width), within(y2, height)];
    return box[2] > box[0] && box[3] > box[1] ? box : null;
  });
}

/** For each target pixel of one axis: the two source pixels it lies between, and how far along. */
function steps(length, scale) {
  const size = Math.max(1, Math.floor(length * scale + 0.5));
  const step = size === length ? 1 : 1 / scale;
  return Array.from({ length: size }, (_, i) => {
    const position = step * (i + 0.5) - 0.5;
    const first = Math.floor(position);
    const inside = (index) => Math.min(Math.max(index, 0), length - 1);
    return [inside(first), inside(first + 1), position - first];
  });
}
