import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "./icons";

/** A modal window: the browser keeps the focus inside and closes it by Escape; whoever had the focus gets it back. */
export function Dialog(props: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const title = useId();
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current!.showModal();
    // By hand: an element that is taken out of the page while it is open gives no focus back.
    return () => {
      element.current?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={props.wide ? "dialog wide" : "dialog"}
      aria-labelledby={title}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onClick={(event) => event.target === element.current && props.onClose()}
    >
      <div class="dialog-inside">
        <div class="dialog-head">
          <h2 id={title}>{props.title}</h2>
          <button type="button" class="quiet icon-only" aria-label="Close" onClick={props.onClose}>
            <Icon name="close" />
          </button>
        </div>
        {props.children}
      </div>
    </dialog>
  );
}

/** Asks before something that cannot be undone. */
export function Confirm(props: {
  title: string;
  action: string;
  children: ComponentChildren;
  onYes: () => void;
  onNo: () => void;
}): JSX.Element {
  return (
    <Dialog title={props.title} onClose={props.onNo}>
      <div class="dialog-text">{props.children}</div>
      <div class="row end">
        <button type="button" onClick={props.onNo} autofocus>
          Keep it
        </button>
        <button type="button" class="danger" onClick={props.onYes}>
          {props.action}
        </button>
      </div>
    </Dialog>
  );
}
