-- Prolongs leases that are still in force.
-- KEYS  1 what is out · 2 … 5 due, of priorities 1 to 4
-- ARGV  1 lease in microseconds · then three for each: priority, off, token
-- Gives the tokens of those that were prolonged.
local due = clock_us() + tonumber(ARGV[1])
local kept = {}
for a = 2, #ARGV, 3 do
  local out = current(KEYS[1], ARGV[a] .. ':' .. ARGV[a + 1], ARGV[a + 2])
  if out then
    drop_out(KEYS[1], KEYS[1 + tonumber(ARGV[a])], ARGV[a], ARGV[a + 1])
    out.due = due
    put_out(KEYS[1], KEYS[1 + tonumber(ARGV[a])], ARGV[a], ARGV[a + 1], out)
    kept[#kept + 1] = ARGV[a + 2]
  end
end
return kept
