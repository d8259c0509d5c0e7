-- Puts a dead letter into its stream and ends the delivery, in one step.
-- KEYS  1 what is out · 2 due, of its priority · 3 ends, 4 ids and 5 … 8 logs of the dead letters · 9 the group
-- ARGV  1 priority · 2 off · 3 token · 4 dead letter's priority, 5 id and 6 JSON · 7 most entries and 8 bytes of their hot part
--       9 and 10 of the stream
-- Gives 'settled', 'fenced', or, where nothing was changed, 'full' or 'occupied ' as add does.
local batches = batches_of(KEYS[9], { ARGV[3] })
local batch = batches[ARGV[3]]
local place = batch and open_at(batch, tonumber(ARGV[1]), tonumber(ARGV[2]))
local out = place and alone(batch, ARGV[3]) or outs(KEYS[1], { ARGV[1] .. ':' .. ARGV[2] })[1]
if not out or out.token ~= tonumber(ARGV[3]) then return 'fenced' end
local logs, letter = { KEYS[5], KEYS[6], KEYS[7], KEYS[8] }, { ARGV[4], ARGV[5], ARGV[6] }
local said, refusal = add(KEYS[3], KEYS[4], logs, bounds_at(7), bounds_at(9), { letter })
if refusal then return refusal end
if said[1] == 'full' or string.find(said[1], '^occupied') then return said[1] end
if place then close_at(batch, place) else drop_out(ARGV[1], ARGV[2]) end
write_batches(KEYS[9], batches)
write_outs(KEYS[1], { [tonumber(ARGV[1])] = KEYS[2] })
return 'settled'
