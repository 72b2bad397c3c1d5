export function total(items) {
  return items.reduce((sum, { price, count }) => sum + price * count, 0);
}

export function line({ name, price, count }) {
  const amount = price * count;
  const text = amount < 0 ? `-$${Math.abs(amount).toFixed(2)}` : `$${amount.toFixed(2)}`;
  return `${count} x ${name}: ${text}`;
}
