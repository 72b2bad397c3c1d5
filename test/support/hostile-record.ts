// Records in which every text that the schema leaves to others is hostile: made from the schema
// itself, so that a new field is covered too.
import { z } from 'zod';
import { type ProbeEvent, probeEventSchema } from '../../lib/record/probe.js';
import { eventSchema, type MatchEvent } from '../../lib/record/types.js';

/**
 * What steers a terminal, turns text around, or is markup in one of the forms. Each begins
 * differently: cells and lines are judged by that.
 */
const EVERYTHING = [
  '\u001b]52;c;QQ==\u0007\u001b[31mred\u009b1m\u0000 a\rb\nc\u2028d end\u202eexe.txt \ud800 \u200b\u{e0041}',
  '<script>broken=1</script> <!-- /cagematch:match --> <!--@x <!-- /cagematch:probe --> <https://a.example> &lt;b&gt;',
  '![i](http://a.example/x.png) [x](javascript:1) [ref][ref] [^1] [ref]: http://a.example [l](x)',
  '@org/team a@b.example owner/repository#12 #1 www.a.example $x$ `a` ``b `*c* _d_ __e__ ~f~ | g \\| \\',
  ';=cmd|x ; "=1 # heading > quotation - item + item 1. item',
].join(' ');
export const HOSTILE_BEGINNINGS = ['=1+1 ', '@org [x] ', '# ', '\u001b]0;'];

export const hostileWords = (beginning: string): string => `${beginning}${EVERYTHING}`;

interface JsonSchema {
  $ref?: string;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  minimum?: number;
  exclusiveMinimum?: number;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  propertyNames?: JsonSchema;
  items?: JsonSchema;
  prefixItems?: JsonSchema[];
}

/** @param which of the ways where the schema has several; beyond the last, it begins again */
function instanceOf(schema: JsonSchema, text: string, which: number): unknown {
  const inner = (part: JsonSchema) => instanceOf(part, text, which);
  const ways = schema.anyOf ?? schema.oneOf;
  if (ways) return inner(ways[which % ways.length] as JsonSchema);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[which % schema.enum.length];
  if (schema.prefixItems) return schema.prefixItems.map(inner);
  switch (Array.isArray(schema.type) ? schema.type[which % schema.type.length] : schema.type) {
    case 'string':
      // A domain has no room for words.
      if (schema.pattern !== undefined && new RegExp(schema.pattern).test('example.com'))
        return 'example.com';
      if (schema.pattern !== undefined)
        throw new Error(`no words for the pattern ${schema.pattern}`);
      return text;
    case 'integer':
    case 'number':
      return Math.max(1, schema.minimum ?? 1, (schema.exclusiveMinimum ?? 0) + 1);
    case 'boolean':
      return which % 2 === 0;
    case 'array':
      return [inner(schema.items ?? {})];
    case 'object': {
      const own = Object.entries(schema.properties ?? {}).map(([name, part]): [string, unknown] => [
        name,
        inner(part),
      ]);
      const additional =
        typeof schema.additionalProperties === 'object'
          ? [[text, inner(schema.additionalProperties)]]
          : [];
      return Object.fromEntries([...own, ...additional]);
    }
    default:
      throw new Error(`no value for ${JSON.stringify(schema)}`);
  }
}

/** So many ways of each kind of event: no union of the schemas has more. */
const WAYS = 7;

function eventsOf<E extends { type: string }>(
  schema: z.ZodType<E>,
  text: string,
  first: string,
  last: string,
): E[] {
  const json = z.toJSONSchema(schema, { io: 'input' }) as JsonSchema;
  const kinds = (json.anyOf ?? json.oneOf ?? []) as JsonSchema[];
  const events = kinds.flatMap((kind) => {
    const ways = Array.from({ length: WAYS }, (_, which) =>
      schema.safeParse(instanceOf(kind, text, which)),
    );
    const taken = ways.flatMap(({ data }) => (data === undefined ? [] : [data]));
    if (taken.length === 0) throw ways[0]?.error;
    return taken;
  });
  const ofType = (type: string) => events.filter((event) => event.type === type);
  return [
    ofType(first)[0] as E,
    ...events.filter(({ type }) => type !== first && type !== last),
    ofType(last)[0] as E,
  ];
}

export const hostileMatch = (beginning: string): MatchEvent[] =>
  eventsOf(eventSchema, hostileWords(beginning), 'match-started', 'match-ended');

export const hostileProbe = (beginning: string): ProbeEvent[] =>
  eventsOf(probeEventSchema, hostileWords(beginning), 'probe-started', 'probe-ended');
