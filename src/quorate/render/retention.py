"""Which backups need not stay, as sh over the names in a place; `backup/retention.py` judges the same way elsewhere."""

from quorate.spec.sections import Keep


def functions(cluster: str, keep: Keep) -> str:
    """`spare` and `stale`, which read the names of a place's files on stdin.

    `spare` prints the sets that may go: neither among the newest nor of the last days, nor the last that was proved.
    `stale` prints what uploads that ended in the middle have left there for more than a day.
    """
    digit, hexdigit = "[0-9]", "[0-9a-f]"
    name = f"{cluster}-{digit * 8}T{digit * 6}Z-{hexdigit * 8}"
    return f"""\
# since DAYS: the moment so many days ago, as a number of 14 digits
since() {{ date -u -d "-$1 days" +%Y%m%d%H%M%S; }}
# taken NAME: the moment in a set's name, likewise
taken() {{ q_at=${{1%-*}}; q_at=${{q_at##*-}}; q_at=${{q_at%Z}}; printf %s "${{q_at%T*}}${{q_at#*T}}"; }}
spare() {{
  q_names=$(cat)
  q_since=$(since {keep.days})
  q_sets=$(printf '%s\\n' "$q_names" | sed -n 's/^\\({name}\\)\\.backup$/\\1/p' | sort -r)
  # In order, the first that is there twice, as a set and as its proof, is the last that was proved.
  q_proved=$({{
    printf '%s\\n' "$q_sets"
    printf '%s\\n' "$q_names" | sed -n 's/^\\({name}\\)\\.proof\\.json$/\\1/p'
  }} | sort -r | uniq -d | head -n 1)
  printf '%s\\n' "$q_sets" | tail -n +{keep.count + 1} | while IFS= read -r q_set; do
    if [ -n "$q_set" ] && [ "$q_set" != "$q_proved" ] && [ "$(taken "$q_set")" -lt "$q_since" ]; then
      printf '%s\\n' "$q_set"
    fi
  done
}}
stale() {{
  q_since=$(since 1)
  sed -n 's/^\\.\\({name}\\)\\.[a-z.]*part$/\\1 &/p' | while IFS=' ' read -r q_set q_part; do
    if [ "$(taken "$q_set")" -lt "$q_since" ]; then printf '%s\\n' "$q_part"; fi
  done
}}
"""
