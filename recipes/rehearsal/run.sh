#!/bin/sh
# The whole chain at a tiny size, from raw clips to a video: two DeepSpeed ranks on a CPU, under ten minutes.
# Every step is an ordinary command; it is printed before it runs, so that you can run it yourself.
set -eu
cd "$(dirname "$0")/../.."
[ -d .venv/bin ] && PATH="$PWD/.venv/bin:$PATH"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
OUT=out/rehearsal
HERE=recipes/rehearsal
DATA=${DYSENVDM_SHARED_DATA:-../shared/data}
PORT=${PORT:-29617}  # any free one; DeepSpeed's usual one may be another run's
RANKS="deepspeed --num_accelerators 2 --master_port $PORT --module dysenvdm.training"

rm -rf "$OUT"
mkdir -p "$OUT"
began=$(date +%s)

# What data there is: real clips, else drawn ones. MORE goes to every command that reads a recipe.
if [ -f "$DATA/ucf101/v_SoccerJuggling_g23_c01.avi" ]; then
  echo "On real clips of $DATA."
  MORE=""
  mkdir -p "$OUT/clips"
  cp "$HERE"/clips/*.json* "$DATA"/ucf101/*.avi "$DATA"/clips/apply_makeup_164f.avi "$DATA"/clips/*_wave_*.avi "$OUT/clips/"
else
  echo "There are no clips in $DATA (DYSENVDM_SHARED_DATA names another folder): on drawn clips of the Stage world."
  MORE="--set data.source={kind:\ stage} --set data.fps=null --set data.ticks=8 --set data.clips=12"  # as few as there are real ones: a language model plans each caption
fi

step() { # title, command
  start=$(date +%s)
  printf '\n== %s\n$ %s\n' "$1" "$2"
  # The command is a line of text, as a person would type it. Who looks on sees its progress; a log gets its last lines.
  if [ -t 2 ]; then
    eval "$2" || { echo "rehearsal: '$1' failed" >&2; exit 1; }
  elif eval "$2" > "$OUT/step.log" 2>&1; then
    tail -n 3 "$OUT/step.log"
  else
    tail -n 25 "$OUT/step.log"
    echo "rehearsal: '$1' failed; all it said is in $OUT/step.log" >&2
    exit 1
  fi
  seconds=$(($(date +%s) - start))
  echo "   $seconds s"
  printf '| %s | %s | `%s` |\n' "$1" "$seconds" "$2" >> "$OUT/steps.md"
}

step "check the data" "dysenvdm check-data $HERE/autoencoder.yaml -o $OUT/check-data $MORE"
step "look before you train" "dysenvdm train $HERE/backbone.yaml --dry-run --ranks 2 --set model.vae=dysenvdm/checkpoints/stage-nano/vae $MORE"
step "cache frames" "dysenvdm cache $HERE/autoencoder.yaml $MORE"
step "autoencoder" "$RANKS $HERE/autoencoder.yaml $MORE"
step "cache latents and texts" "dysenvdm cache $HERE/backbone.yaml $MORE"
step "backbone, gold scene graphs" "$RANKS $HERE/backbone.yaml $MORE"
step "plan scene graphs" "dysenvdm cache $HERE/dysen.yaml $MORE"
step "dysen, planned scene graphs" "$RANKS $HERE/dysen.yaml $MORE"
step "plan for fine-tuning" "dysenvdm cache $HERE/finetune.yaml $MORE"
step "fine-tuning" "$RANKS $HERE/finetune.yaml $MORE"
step "export" "dysenvdm export $OUT/finetune -o $OUT/model"
step "generate" "dysenvdm generate 'A person is juggling a soccer ball.' --model $OUT/model --frames 8 --steps 10 --seed 1 -o $OUT/video.mp4"

cp "$OUT/backbone/curves.png" "$OUT/curves.png"
cp "$(ls "$OUT"/finetune/samples/*.png | tail -n 1)" "$OUT/samples.png"
total=$(($(date +%s) - began))
{
  echo "# The rehearsal: $total s"
  echo "| step | seconds | command |"
  echo "|---|---|---|"
  cat "$OUT/steps.md"
  echo
  echo "curves.png (backbone), samples.png (fine-tuning), check-data/sheet.png, video.mp4. The model is far too small and"
  echo "trained far too briefly for pictures: what was rehearsed is the way there."
} > "$OUT/summary.md"
rm -f "$OUT/steps.md"
printf '\nDone in %s s. Look at %s/summary.md, %s/curves.png and %s/samples.png.\n' "$total" "$OUT" "$OUT" "$OUT"
