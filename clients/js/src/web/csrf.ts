const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

export interface CsrfRequest {
  method: string
  headers: Headers
  url?: string
}

/**
 * True if no other site can have caused the request. A cookie comes with requests that other sites cause, so what
 * changes something must come from a page of ours: browsers say so in `Sec-Fetch-Site`, older ones in `Origin`.
 */
export function isOwnRequest({ method, headers, url }: CsrfRequest, origins: readonly string[] = []): boolean {
  if (SAFE.has(method.toUpperCase())) return true
  const origin = headers.get('origin')
  if (origin !== null && origins.includes(origin)) return true
  const site = headers.get('sec-fetch-site')
  if (site !== null) return site === 'same-origin' || site === 'none'
  return origin !== null && hostOf(origin) !== undefined && hostOf(origin) === (headers.get('host') ?? hostOf(url))
}

function hostOf(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : undefined
}
