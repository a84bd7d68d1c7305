/** One clock for one or several videos: they play, stop, loop and are moved together. */
import { createStore, remembered } from "../store";
import { clamp, frameAt, secondsOf } from "./frames";

export const SPEEDS = [0.25, 0.5, 1, 2] as const;

export interface Playing {
  playing: boolean;
  loop: boolean;
  speed: number;
}

/** How far apart two videos may be, as a fraction of their length, before the second is moved. */
const APART = 0.02;

export class Playback {
  readonly state = createStore<Playing>({ playing: false, loop: remembered.read<boolean>("loop") ?? true, speed: 1 });
  /** Where the videos are, as a fraction of their length. */
  readonly time = createStore(0);
  private readonly videos: HTMLVideoElement[] = [];
  private tick = 0;

  /** `frames` and `fps` are those of the first video; the others keep to fractions of its length. */
  constructor(
    readonly frames: number,
    readonly fps: number,
  ) {}

  get frame(): number {
    return frameAt(this.time.get() * (this.frames / this.fps), this.fps, this.frames);
  }

  /** Returns what takes the video out again. */
  attach(video: HTMLVideoElement): () => void {
    this.videos.push(video);
    const onEnd = (): void => {
      if (video === this.videos[0] && !video.loop) this.pause();
    };
    const onData = (): void => {
      this.keepPace();
      if (video === this.videos[0] && !this.state.get().playing) this.read();
    };
    video.addEventListener("ended", onEnd);
    video.addEventListener("loadedmetadata", onData);
    this.keepPace();
    return () => {
      video.removeEventListener("ended", onEnd);
      video.removeEventListener("loadedmetadata", onData);
      this.videos.splice(this.videos.indexOf(video), 1);
      if (this.videos.length === 0) cancelAnimationFrame(this.tick);
    };
  }

  play(): void {
    if (this.time.get() >= 1 - 1 / this.frames / 2 && !this.state.get().loop) this.seek(0);
    this.state.set((old) => ({ ...old, playing: true }));
    for (const video of this.videos) void video.play().catch(() => video === this.videos[0] && this.pause());
    this.follow();
  }

  pause(): void {
    this.state.set((old) => ({ ...old, playing: false }));
    cancelAnimationFrame(this.tick);
    for (const video of this.videos) video.pause();
    this.read();
  }

  toggle(): void {
    if (this.state.get().playing) this.pause();
    else this.play();
  }

  /** To a fraction of the length. */
  seek(time: number): void {
    this.goTo(frameAt(clamp(time, 0, 1) * (this.frames / this.fps), this.fps, this.frames));
  }

  /** To a frame; past an end, it comes in at the other one. */
  step(by: number): void {
    this.pause();
    this.goTo((this.frame + by + this.frames) % this.frames);
  }

  goTo(frame: number): void {
    const fraction = secondsOf(frame, this.fps) / (this.frames / this.fps);
    for (const video of this.videos) if (video.duration) video.currentTime = fraction * video.duration;
    this.time.set(fraction);
  }

  setLoop(loop: boolean): void {
    remembered.write("loop", loop);
    this.state.set((old) => ({ ...old, loop }));
    this.keepPace();
  }

  setSpeed(speed: number): void {
    this.state.set((old) => ({ ...old, speed }));
    this.keepPace();
  }

  /** A longer video runs faster, so that all reach the same moment of the plan together. */
  private keepPace(): void {
    const { loop, speed } = this.state.get();
    const length = this.videos[0]?.duration || 0;
    for (const video of this.videos) {
      video.loop = loop;
      video.playbackRate = speed * (length && video.duration ? clamp(video.duration / length, 0.1, 8) : 1);
    }
  }

  private follow(): void {
    cancelAnimationFrame(this.tick);
    const turn = (): void => {
      this.read();
      const first = this.time.get();
      for (const other of this.videos.slice(1)) {
        if (!other.duration || other.seeking) continue;
        const apart = Math.abs(other.currentTime / other.duration - first);
        if (apart > APART && apart < 1 - APART) other.currentTime = first * other.duration;
      }
      this.tick = requestAnimationFrame(turn);
    };
    this.tick = requestAnimationFrame(turn);
  }

  private read(): void {
    const first = this.videos[0];
    if (first?.duration) this.time.set(clamp(first.currentTime / first.duration, 0, 1));
  }
}
