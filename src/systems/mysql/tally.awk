# Counts the rows of each table in a dump of mysqldump or mariadb-dump. Run with LC_ALL=C.
# name(): the identifier that begins `text`, up to its closing backtick; `after` is how many bytes it took.
function name(text,  close_at, eaten, out) {
  out = ""
  eaten = 0
  while ((close_at = index(text, "`")) > 0) {
    out = out substr(text, 1, close_at - 1)
    if (substr(text, close_at + 1, 1) != "`") {
      after = eaten + close_at
      return out
    }
    out = out "`"
    eaten += close_at + 1
    text = substr(text, close_at + 2)
  }
  after = 0
  return ""
}
function tuples(text) {
  # Strings go, then a row ends where the next one begins.
  gsub(/\\\\/, "", text)
  gsub(/\\'/, "", text)
  gsub(/'[^']*'/, "", text)
  if (substr(text, length(text) - 1) != ");" || index(text, "'") > 0) odd++
  return gsub(/\),\(/, "", text) + 1
}
NR == 1 { first = substr($0, 1, 200) }
/[^ \t\r]/ { last = substr($0, 1, 200) }
rows_follow {
  if (substr($0, 1, 1) == "(") {
    rows[table]++
    tail = substr($0, length($0))
    if (tail == ";") rows_follow = 0
    else if (tail != ",") odd++
    next
  }
  odd++
  rows_follow = 0
}
code {
  if ($0 == "DELIMITER ;") code = 0
  next
}
/^DELIMITER / { code = ($0 != "DELIMITER ;"); next }
/^USE `/ { database = name(substr($0, 6, 600)); next }
/^CREATE TABLE `/ {
  table = database "\t" name(substr($0, 15, 600))
  if (!(table in rows)) { rows[table] = 0; order[++tables] = table }
  next
}
/^INSERT INTO `/ {
  table = database "\t" name(substr($0, 14, 600))
  if (!(table in rows)) { odd++; next }
  at = 14 + after
  while (match(substr($0, at, 600), /^[ (,]*`[^`]*`/)) at += RLENGTH
  if (!match(substr($0, at, 600), /^\)? VALUES/)) { odd++; next }
  at += RLENGTH
  if (at > length($0)) rows_follow = 1
  else rows[table] += tuples(substr($0, at))
  next
}
END {
  if (rows_follow || code) odd++
  for (i = 1; i <= tables; i++) printf "rows\t%.0f\t%s\n", rows[order[i]], order[i]
  printf "odd\t%d\nfirst\t%s\nlast\t%s\n", odd, first, last
}
