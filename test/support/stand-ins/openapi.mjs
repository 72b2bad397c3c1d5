// A published OpenAPI document as a judge: says of a request, or of an answer, what the document
// forbids in it.
import { Ajv } from 'ajv';

/**
 * @typedef {{name: string, in: string, required?: boolean, schema: object}} Parameter
 * @typedef {{content?: Record<string, {schema: object}>}} Body
 * @typedef {{operationId: string, parameters?: Parameter[], requestBody?: Body & {required?:
 *   boolean}, responses: Record<string, Body>}} Operation
 * @typedef {{paths: Record<string, Record<string, Operation>>, components: {schemas: Record<string,
 *   object>}}} Document
 * @typedef {(value: unknown) => string | undefined} Judge
 */

/** @param {Document} document */
export function openContract(document) {
  // What is sent is judged strictly: a field that the document does not name is a mistake, although
  // a server may pass over it.
  const sent = judges(/** @type {Document} */ (closed(document)));
  const answered = judges(document);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '([^/]+)')}$`),
      method: method.toUpperCase(),
      operation,
      query: new Map(
        (operation.parameters ?? [])
          .filter((parameter) => parameter.in === 'query')
          .map((parameter) => [parameter.name, sent(parameter.schema, true)]),
      ),
      body: schemaOf(operation.requestBody, sent),
      required: operation.requestBody?.required ?? false,
      answers: new Map(
        Object.entries(operation.responses).map(([status, body]) => [
          status,
          schemaOf(body, answered),
        ]),
      ),
    })),
  );

  return {
    /**
     * The operation that is meant, and what is wrong with how it is asked for.
     * @param {string} method @param {URL} url @param {unknown} body
     */
    request(method, url, body) {
      const found = operations.find(
        (candidate) => candidate.method === method && candidate.pattern.test(url.pathname),
      );
      if (!found) return { operation: undefined, fault: `there is no ${method} ${url.pathname}` };
      return {
        operation: found.operation.operationId,
        fault: faultIn(found, url.searchParams, body),
      };
    },
    /** @param {string} operation @param {number} status @param {unknown} body */
    response(operation, status, body) {
      const answers = operations.find(
        (candidate) => candidate.operation.operationId === operation,
      )?.answers;
      const key = answers?.has(String(status)) ? String(status) : 'default';
      if (!answers?.has(key)) return `${operation} never answers ${status}`;
      const fault = answers.get(key)?.(body);
      return fault && `${operation} ${status}: ${fault}`;
    },
  };
}

/**
 * @param {{query: Map<string, Judge>, body: Judge | undefined, required: boolean}} operation
 * @param {URLSearchParams} query @param {unknown} body
 */
function faultIn(operation, query, body) {
  for (const [name, value] of query) {
    // `metadata.{key}` stands for every name that begins like it.
    const judge = operation.query.get(name) ?? operation.query.get(name.replace(/\..+$/, '.{key}'));
    const fault = judge ? judge(value) : 'is no parameter';
    if (fault) return `?${name}: ${fault}`;
  }
  if (body === undefined) return operation.required ? 'there is no body' : undefined;
  return operation.body ? operation.body(body) : 'there is a body';
}

/** @param {Body | undefined} body @param {(schema: object) => Judge} judge */
function schemaOf(body, judge) {
  const schema = body?.content?.['application/json']?.schema;
  return schema && judge(schema);
}

/** @param {Document} document @returns {(schema: object, asText?: boolean) => Judge} */
function judges(document) {
  const make = (/** @type {boolean} */ coerceTypes) =>
    new Ajv({ strict: false, coerceTypes }).addSchema(document, 'document');
  const [asIs, asText] = [make(false), make(true)];
  return (schema, text = false) => {
    const validate = (text ? asText : asIs).compile(/** @type {object} */ (absolute(schema)));
    return (value) => {
      if (validate(value)) return undefined;
      const { instancePath, message, params } = validate.errors?.[0] ?? {};
      return `${instancePath || 'it'} ${message}${params?.additionalProperty ? ` (${params.additionalProperty})` : ''}`;
    };
  };
}

/**
 * References lead to the document, from whatever schema.
 * @param {unknown} schema
 * @returns {unknown}
 */
function absolute(schema) {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"document#/components'));
}

/** @param {unknown} node @returns {unknown} */
function closed(node) {
  if (Array.isArray(node)) return node.map(closed);
  if (node === null || typeof node !== 'object') return node;
  const inner = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, closed(value)]),
  );
  const isOpen =
    inner.type === 'object' &&
    inner.properties !== undefined &&
    inner.additionalProperties === undefined;
  return isOpen ? { ...inner, additionalProperties: false } : inner;
}
