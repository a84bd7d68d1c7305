import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Draws a picture that came as bytes: the page needs neither data: nor blob: addresses. */
export function Picture(props: {
  blob: Blob;
  label: string;
  class?: string;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { blob } = props;
  useEffect(() => {
    let stale = false;
    createImageBitmap(blob).then(
      (image) => {
        if (!stale && canvas.current) {
          canvas.current.width = image.width;
          canvas.current.height = image.height;
          canvas.current.getContext("2d")?.drawImage(image, 0, 0);
        }
        image.close();
      },
      () => undefined, // the server will say that it is no picture
    );
    return () => {
      stale = true;
    };
  }, [blob]);
  return <canvas ref={canvas} class={props.class} role="img" aria-label={props.label} />;
}
