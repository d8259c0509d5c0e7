-- Prolongs leases that are still in force.
-- KEYS  1 the group · 2 what is out · 3 … 6 due, of priorities 1 to 4
-- ARGV  1 lease in microseconds · then three for each: priority, off, token
-- Gives which of them were prolonged, counted from 0.
local due = clock_us() + tonumber(ARGV[1])
local due_text = text(due)
local places, by_itself, kept, tokens = {}, {}, {}, {}
for a = 4, #ARGV, 3 do tokens[#tokens + 1] = ARGV[a] end
local batches, named = batches_of(KEYS[1], tokens), {}
for a = 2, #ARGV, 3 do
  local token = ARGV[a + 2]
  local place = batches[token] and open_at(batches[token], tonumber(ARGV[a]), tonumber(ARGV[a + 1]))
  if place then
    named[token] = named[token] or {}
    named[token][place] = a
    kept[#kept + 1] = (a - 2) / 3
  else
    places[#places + 1], by_itself[#by_itself + 1] = ARGV[a] .. ':' .. ARGV[a + 1], a
  end
end
for token, own in pairs(named) do
  local batch, count = batches[token], 0
  for _ in pairs(own) do count = count + 1 end
  if count == batch.left then
    batch.due, batch.changed = due, true
  else
    -- A part of it goes on by itself.
    for place, a in pairs(own) do
      local out = alone(batch, token)
      out.due = due
      put_out(ARGV[a], ARGV[a + 1], encode_out(out), due_text)
      close_at(batch, place)
    end
  end
end
local found = #places > 0 and outs(KEYS[2], places) or {}
for at, a in ipairs(by_itself) do
  local out = found[at]
  if out and out.token == tonumber(ARGV[a + 2]) then
    out.due = due
    put_out(ARGV[a], ARGV[a + 1], encode_out(out), due_text)
    kept[#kept + 1] = (a - 2) / 3
  end
end
write_batches(KEYS[1], batches)
write_outs(KEYS[2], { KEYS[3], KEYS[4], KEYS[5], KEYS[6] })
return kept
