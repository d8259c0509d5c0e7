-- Prelude of the scripts that look into entries.

-- The facts of an entry, or nil where it is none that this bus writes: somebody has changed it, and readers will be told.
local function meta_of(entry)
  local fields = entry and entry[2]
  if fields and #fields == 12 and fields[1] == 't' and fields[3] == 'm' and string.find(fields[2], '^%d+$') and #fields[4] >= 192 then return fields[4] end
  return nil
end
