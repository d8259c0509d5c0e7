-- Ends deliveries of one group, each if it is still the current one.
-- KEYS  1 the group · 2 what is out · 3 … 6 due, of priorities 1 to 4
-- ARGV  six for each: priority, off, token, 'done', 'retry' or 'release', reason, delay in milliseconds
-- Gives 'settled' or 'fenced' for each.
local answer = {}
for a = 1, #ARGV, 6 do
  local priority, off, kind = ARGV[a], ARGV[a + 1], ARGV[a + 3]
  local due_key = KEYS[2 + tonumber(priority)]
  local out = current(KEYS[2], priority .. ':' .. off, ARGV[a + 2])
  if out then
    drop_out(KEYS[2], due_key, priority, off)
    if kind ~= 'done' then
      local now = clock_us()
      if kind == 'retry' then
        out.failures = out.failures .. failure(now, out.member, ARGV[a + 4])
        out.due = now + tonumber(ARGV[a + 5]) * 1000
      else
        out.deliveries = out.deliveries - 1
        out.due = now
      end
      out.member, out.token = '', next_token(KEYS[1])
      put_out(KEYS[2], due_key, priority, off, out)
    end
  end
  answer[#answer + 1] = out and 'settled' or 'fenced'
end
return answer
