-- Prolongs leases that are still in force.
-- KEYS  1 what is out · 2 … 5 due, of priorities 1 to 4
-- ARGV  1 lease in microseconds · then three for each: priority, off, token
-- Gives the tokens of those that were prolonged.
local due = clock_us() + tonumber(ARGV[1])
local due_text = text(due)
local places, kept = {}, {}
for a = 2, #ARGV, 3 do places[#places + 1] = ARGV[a] .. ':' .. ARGV[a + 1] end
local found = outs(KEYS[1], places)
for at = 1, #places do
  local a, out = 3 * at - 1, found[at]
  if out and out.token == tonumber(ARGV[a + 2]) then
    out.due = due
    put_out(ARGV[a], ARGV[a + 1], encode_out(out), due_text)
    kept[#kept + 1] = ARGV[a + 2]
  end
end
write_outs(KEYS[1], { KEYS[2], KEYS[3], KEYS[4], KEYS[5] })
return kept
