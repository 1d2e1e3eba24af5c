def repeat(f): def rec: ., (f | rec); rec;
def del(f): delpaths([path(f)]);
def to_entries: [key_values[] | { key: .[0], value: .[1] }];
def from_entries: reduce .[] as $entry ({}; . + {
    ($entry | if .key == false then false else .key // .k // .name // .Name // .K // .Key end
      | if isstring then . else tojson end):
    ($entry | if has("value") then .value elif has("v") then .v else .Value end) });
def with_entries(f): to_entries | map(f) | from_entries;
def map_values(f): .[] |= f;
def keys: keys_unsorted | sort;
def join($by): reduce .[] as $item (null;
    (if . == null then "" else . + $by end)
    + ($item | if . == null then "" elif isboolean or isnumber then tojson else . end)) // "";
def flatten: flatten(1000000);
def paths(f): path(..) as $path | if $path != [] and (getpath($path) | f) then $path else empty end;
def leaf_paths: paths(scalars);
def tostream: path(def rec: (.[]?|rec), .; rec) as $path | getpath($path) | reduce path(.[]?) as $inner ([$path, .]; [$path + $inner]);
def transpose: if . == [] then [] else . as $rows | (map(length) | max) as $width
    | [range(0; $width) as $column | [range(0; $rows | length) as $row | $rows[$row][$column]]] end;
def in(whole): . as $key | whole | has($key);
def inside(whole): . as $part | whole | contains($part);
def index($part): indices($part) | .[0];
def rindex($part): indices($part) | .[-1:][0];
def toboolean: if isboolean then . elif . == "true" then true elif . == "false" then false
    else error("\(type) (\(tojson)) cannot be parsed as a boolean") end;
def toarray: if isarray then . else [.] end;
def abs: if isnumber | not then error("\(type) (\(tojson)) has no absolute value") elif . < 0 then - . else . end;
def ascii: [.] | implode;
def add: reduce .[] as $item (null; . + $item);
def any: reduce .[] as $item (false; . or $item);
def all: reduce .[] as $item (true; . and $item);
def IN(items): any(items == .; .);
def IN(some; items): any(some == items; .);
def INDEX(items; key): reduce items as $item ({}; .[$item | key | tostring] |= $item);
def INDEX(key): INDEX(.[]; key);
def combinations: if length == 0 then [] else .[0][] as $first | (.[1:] | combinations) as $rest | [$first] + $rest end;
def combinations($times): . as $items | [range(0; $times)] | map($items) | combinations;
def walk(f): def rec: if isobject then map_values(rec) elif isarray then map(rec) else . end | f; rec;
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def dateadd(unit; $seconds): . + $seconds;
def datesub(unit; $seconds): . - $seconds;

def match(pattern; flags): pattern as $pattern | flags as $flags | match_($pattern; $flags)[];
def match($given): if $given | isarray then match($given[0]; $given[1]) else match($given; null) end;
def test(pattern; flags): pattern as $pattern | flags as $flags | test_($pattern; $flags);
def test($given): if $given | isarray then test($given[0]; $given[1]) else test($given; null) end;
def capture_: [.captures[] | select(.name != null) | { (.name): .string }] | add // {};
def capture(pattern; flags): match(pattern; flags) | capture_;
def capture($given): match($given) | capture_;
def scan(pattern; flags): match(pattern; "g" + flags) | if .captures == [] then .string else [.captures[].string] end;
def scan(pattern): scan(pattern; null);
def split(pattern; flags): pattern as $pattern | flags as $flags | split_($pattern; $flags);
def splits(pattern; flags): split(pattern; flags)[];
def splits(pattern): splits(pattern; null);
def sub(pattern; f; flags): pattern as $pattern | flags as $flags | reduce pieces_($pattern; $flags)[] as $piece ("";
    . + ($piece | if isobject then capture_ | f else . end));
def sub(pattern; f): sub(pattern; f; null);
def gsub(pattern; f; flags): sub(pattern; f; "g" + flags);
def gsub(pattern; f): sub(pattern; f; "g");

def @json: tojson;
def @csv: if isarray | not then error("\(type) (\(tojson)) cannot be csv-formatted, only an array can be") else [.[] | if isnumber or isboolean then tojson elif . == null then ""
    elif isstring then "\"" + (if . == "" then . else . / "\"" | join("\"\"") end) + "\""
    else error("\(type) (\(tojson)) is not valid in a csv row") end] | join(",") end;
def @tsv: if isarray | not then error("\(type) (\(tojson)) cannot be tsv-formatted, only an array can be") else [.[] | if isnumber or isboolean then tojson elif . == null then ""
    elif isstring then (if . == "" then . else . / "\\" | join("\\\\") end) | (if . == "" then . else . / "\t" | join("\\t") end)
      | (if . == "" then . else . / "\n" | join("\\n") end) | (if . == "" then . else . / "\r" | join("\\r") end)
    else error("\(type) (\(tojson)) is not valid in a tsv row") end] | join("\t") end;
