import { Component, type ComponentType, createElement, type FunctionComponent, type JSX } from "preact";

/** Draws a component anew only where one of its props is another. */
export function memo<P extends object>(inner: FunctionComponent<P>): ComponentType<P> {
  return class Memo extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const old = this.props as P;
      return (Object.keys({ ...old, ...next }) as (keyof P)[]).some((key) => next[key] !== old[key]);
    }
    override render(): JSX.Element {
      return createElement(inner, this.props as P & JSX.IntrinsicAttributes);
    }
  };
}
