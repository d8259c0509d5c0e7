-- Ends a delivery, if it is still the current one.
-- KEYS  1 the group · 2 what is out · 3 due, of its priority
-- ARGV  1 priority · 2 off · 3 token · 4 'done', 'retry' or 'release' · 5 reason · 6 delay in milliseconds
-- Gives 'settled' or 'fenced'.
local place = ARGV[1] .. ':' .. ARGV[2]
local out = current(KEYS[2], place, ARGV[3])
if not out then return 'fenced' end
drop_out(KEYS[2], KEYS[3], ARGV[1], ARGV[2])
if ARGV[4] == 'done' then return 'settled' end
local now = clock_us()
if ARGV[4] == 'retry' then
  out.failures = out.failures .. failure(now, out.member, ARGV[5])
  out.due = now + tonumber(ARGV[6]) * 1000
else
  out.deliveries = out.deliveries - 1
  out.due = now
end
out.member, out.token = '', next_token(KEYS[1])
put_out(KEYS[2], KEYS[3], ARGV[1], ARGV[2], out)
return 'settled'
