-- What trimming must know of the oldest entries, bounded by number and by bytes of header and payload.
-- KEYS  1 partition's log
-- ARGV  1 offset up to which entries may go · 2 most entries · 3 bytes after which no more are looked at
-- Gives {{off, received_us, meta} …}, with nothing but the offset of an entry that this bus has not written.
local answer, bytes, after = {}, 0, '-'
local entries_max, bytes_max = tonumber(ARGV[2]), tonumber(ARGV[3])
while #answer < entries_max and bytes < bytes_max do
  -- Few at once: a script that looks at an entry holds all of it.
  local found = redis.call('XRANGE', KEYS[1], after, ARGV[1] .. '-0', 'COUNT', math.min(4, entries_max - #answer))
  if #found == 0 then break end
  for _, entry in ipairs(found) do
    local meta = meta_of(entry)
    answer[#answer + 1] = { string.match(entry[1], '^%d+'), meta and entry[2][2] or '', meta or '' }
    bytes = bytes + #(entry[2][6] or '') + #(entry[2][12] or '')
    after = '(' .. entry[1]
  end
end
return answer
