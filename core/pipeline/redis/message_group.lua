-- Makes a group.
-- KEYS  1 ends · 2 groups · 3 the group
-- ARGV  1 group's name · 2 'low' or 'tail': where it begins
begin(KEYS[2], KEYS[3], KEYS[1], ARGV[1], ARGV[2])
return 'made'
