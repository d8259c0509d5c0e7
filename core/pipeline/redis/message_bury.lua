-- Puts a dead letter into its stream and ends the delivery, in one step.
-- KEYS  1 what is out · 2 due, of its priority · 3 ends, 4 ids and 5 log of the dead letters
-- ARGV  1 priority · 2 off · 3 token · 4 dead letter's priority, 5 id and 6 JSON · 7 most entries
-- Gives 'settled', 'fenced', or 'full' where nothing was changed.
if not current(KEYS[1], ARGV[1] .. ':' .. ARGV[2], ARGV[3]) then return 'fenced' end
if add(KEYS[3], KEYS[4], KEYS[5], ARGV[4], tonumber(ARGV[7]), ARGV[5], ARGV[6]) == 'full' then return 'full' end
drop_out(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 'settled'
