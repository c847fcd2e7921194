import { bytesOf, percent } from "./format.ts";

/** How much of something the server has confirmed. */
export function Bar(props: { label: string; storedBytes: number; totalBytes: number; brick?: boolean }) {
  const share = percent(props.storedBytes, props.totalBytes);
  return (
    <div
      class={props.brick ? "brick" : "bar"}
      role="progressbar"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share}
      aria-valuetext={`${bytesOf(props.storedBytes, props.totalBytes)} stored`}
      style={{ "--share": `${share}%` }}
    />
  );
}
